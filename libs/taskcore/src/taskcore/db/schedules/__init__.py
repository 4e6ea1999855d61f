"""Statements for schedules and their fires."""
