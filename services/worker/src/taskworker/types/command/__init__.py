"""The task type `run_command`."""
