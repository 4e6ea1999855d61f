"""Traces of tasks: models and calls."""
