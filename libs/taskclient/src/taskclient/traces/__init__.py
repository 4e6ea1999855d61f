"""Traces of tasks: what the server is asked, and how a person gets to see them."""
