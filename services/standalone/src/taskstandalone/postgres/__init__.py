"""The embedded PostgreSQL server of the standalone."""
