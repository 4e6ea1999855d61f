"""Every way a task is created: over the API, by a plugin, by a schedule, by an alert."""
