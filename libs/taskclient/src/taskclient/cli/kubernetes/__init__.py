"""The commands `events` and `alerts`."""
