"""Taskcore beside bare Dramatiq, measured on this machine in one run: `make bench`. What it says: docs/performance.md."""
