"""Kubernetes events and alerts over HTTP, as the collector has stored them."""
