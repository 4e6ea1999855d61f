"""Metrics from the settings: SQL queries and counters in JSON documents."""
