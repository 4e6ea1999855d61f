"""Storing events and opening alerts."""
