"""What a worker process does with a task: claim, run, settle, and report in between."""
