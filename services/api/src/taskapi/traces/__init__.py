"""Traces over HTTP: what became of a task, span by span, from the viewer that keeps them or from this process."""
