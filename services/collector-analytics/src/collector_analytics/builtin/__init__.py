"""The metrics of Taskcore itself."""
