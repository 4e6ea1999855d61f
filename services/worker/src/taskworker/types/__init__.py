"""The task types that ship with Taskcore: one module or package per type."""
