"""The task type `run_query`."""
