"""Distributed tracing: which traces are sampled, how contexts propagate, the spans of an attempt, and their export."""
