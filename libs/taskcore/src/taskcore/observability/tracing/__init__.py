"""Traces: which are followed, how their contexts travel, the spans of an attempt, and how spans leave the process."""
