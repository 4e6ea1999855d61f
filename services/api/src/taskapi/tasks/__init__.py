"""Submitting, reading, and changing tasks."""
