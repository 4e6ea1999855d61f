"""The whole of Taskcore as real processes, and what it promises."""
