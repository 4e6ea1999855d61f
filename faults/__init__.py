"""Fault injection: break a running system under load and check that it keeps its promises. See docs/reliability.md."""
