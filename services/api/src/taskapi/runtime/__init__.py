"""What lives as long as the process: database engines, caches, listeners, trace sources."""
