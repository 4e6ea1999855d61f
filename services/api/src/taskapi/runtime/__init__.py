"""Services that live as long as the process: database, caches, listeners, trace sources."""
