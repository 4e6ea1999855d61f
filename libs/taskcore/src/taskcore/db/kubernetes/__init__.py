"""Statements for the Kubernetes collector: events, alerts, and the collector's leases."""
