"""The roles and databases of the embedded PostgreSQL. A role other than the superuser can use its own database only.

| role | database | used by |
| --- | --- | --- |
| `taskcore` | `taskcore` | Taskcore itself |
| `queries` | `queries` | `run_query` tasks: everybody who may submit one can run any statement as this role |
| `postgres` | all | setting up the others |
"""

from __future__ import annotations

import psycopg

OWNER = "taskcore"
QUERIES = "queries"

#: `queries` is the database that initdb creates, which saves the time and the space of another one.
_SET_UP = f"""
CREATE ROLE {OWNER} LOGIN;
CREATE ROLE {QUERIES} LOGIN;
ALTER ROLE {QUERIES} SET temp_file_limit = '1GB';  -- what a query sorts cannot fill the disk
ALTER DATABASE postgres OWNER TO {QUERIES};
ALTER DATABASE postgres RENAME TO {QUERIES};
COMMENT ON DATABASE {QUERIES} IS 'for run_query';
REVOKE CONNECT, TEMPORARY ON DATABASE {QUERIES}, template1 FROM PUBLIC;
"""


def create_roles_and_databases(connection: psycopg.Connection) -> None:
    """Create what is missing. `connection` is the superuser's, to template1, in autocommit mode."""
    databases: dict[str, bool] = dict(connection.execute("SELECT datname, datallowconn FROM pg_database").fetchall())
    if QUERIES not in databases:
        with connection.transaction():
            connection.execute(_SET_UP)
    if OWNER not in databases:
        connection.execute(f"CREATE DATABASE {OWNER} OWNER {OWNER} ALLOW_CONNECTIONS false")
    if not databases.get(OWNER):
        with connection.transaction():
            connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {OWNER} FROM PUBLIC")
            connection.execute(f"ALTER DATABASE {OWNER} ALLOW_CONNECTIONS true")
