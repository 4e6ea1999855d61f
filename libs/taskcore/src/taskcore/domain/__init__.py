"""The rules of tasks, schedules and alerts. Pure: only the standard library, no clock, no I/O."""
