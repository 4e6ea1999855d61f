"""The commands `task-cli events`, `event`, `alerts` and `alert`."""
