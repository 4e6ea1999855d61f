"""The command group `schedule`."""
