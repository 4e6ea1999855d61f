"""Schedules: what they look like, the calls about them, and what a person gets to see of them."""
