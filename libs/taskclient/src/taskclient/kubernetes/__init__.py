"""Kubernetes events and alerts: models, calls and streams."""
