"""Schedules over HTTP: their definitions, actions, past fires and next times."""
