"""Load on a running system, and what was submitted."""
