"""Queues, workers, task types, and live settings over HTTP."""
