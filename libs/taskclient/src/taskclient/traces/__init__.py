"""Traces of tasks: models."""
