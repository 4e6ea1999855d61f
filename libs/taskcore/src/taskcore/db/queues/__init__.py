"""Statements for the outbox, for queues, and for the backlog of each queue."""
