"""Statements for workers and their leases."""
