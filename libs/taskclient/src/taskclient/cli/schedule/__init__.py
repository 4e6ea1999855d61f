"""The commands `task-cli schedule …`."""
