"""Taskcore's HTTP API."""
