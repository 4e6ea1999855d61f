"""A PostgreSQL server of its own for the standalone."""
