"""Schedules: models and calls."""
