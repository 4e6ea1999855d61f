"""The task types that ship with Taskcore, one a module."""
