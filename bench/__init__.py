"""Taskcore beside bare Dramatiq, measured on this machine in one run: `make bench`. See docs/performance.md."""
