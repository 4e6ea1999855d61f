"""Benchmarks of Taskcore and of bare Dramatiq, in the same run on this machine. See docs/performance.md."""
