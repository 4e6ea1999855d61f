"""Schedules over HTTP: making and changing them, what they did, and what they will do."""
