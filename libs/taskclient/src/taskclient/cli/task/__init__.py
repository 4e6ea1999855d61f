"""The command group `task`."""
