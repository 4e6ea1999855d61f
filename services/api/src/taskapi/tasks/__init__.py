"""Submitting, reading and changing tasks over HTTP."""
