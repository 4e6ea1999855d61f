"""The commands `task-cli analytics …`."""
