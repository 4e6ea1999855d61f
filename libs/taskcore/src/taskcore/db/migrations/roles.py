"""The two roles of a database: one owns the tables and migrates them, and the services connect as the other."""

from __future__ import annotations

from typing import Any

import psycopg
from sqlalchemy import Connection, text

from taskcore.db.engine import sync_engine
from taskcore.settings import database_parameters

#: The tables and sequences of ours in the schema that migrations work in. Only the owner needs Alembic's own table.
OWN = text(
    "SELECT relkind, array_agg(format('%I.%I', relnamespace::regnamespace, relname)) AS names FROM pg_class"
    " WHERE relkind IN ('r', 'S') AND relnamespace = current_schema()::regnamespace"
    " AND pg_has_role(relowner, 'USAGE') AND relname <> 'alembic_version' GROUP BY relkind"
)

PRIVILEGES = {"r": "SELECT, INSERT, UPDATE, DELETE ON TABLE", "S": "USAGE ON SEQUENCE"}


def grant_to_runtime_role(connection: Connection, role: str) -> None:
    """Let `role` read and write the rows of our tables. It cannot change, empty or drop a table.

    Safe to repeat, and right for every revision: it grants on what there is.
    """
    quote = connection.dialect.identifier_preparer.quote
    schema = quote(connection.scalar(text("SELECT current_schema()")))
    connection.execute(text(f"GRANT USAGE ON SCHEMA {schema} TO {quote(role)}"))
    for kind, names in connection.execute(OWN).all():
        connection.execute(text(f"GRANT {PRIVILEGES[kind]} {', '.join(names)} TO {quote(role)}"))


def create_roles_and_database(admin_url: str, owner_url: str, runtime_url: str) -> None:
    """Create the roles and the database that these URLs name, and give the roles their passwords.

    No other role can then connect to the database. What exists is kept, so it is safe to repeat, but not in two
    processes at once. `admin_url` names an existing database, and a role that may create databases and roles.
    """
    owner, runtime = database_parameters(owner_url), database_parameters(runtime_url)
    engine = sync_engine(admin_url, name="taskcore roles", pool_size=1)
    try:
        with engine.connect() as connection:
            for role in (owner, runtime):
                _create_role(connection, role["user"], role.get("password"))
            database = owner.get("dbname", owner["user"])
            _create_database(connection, database, owner["user"])
            _execute(connection, "REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", database)
            _execute(connection, "GRANT CONNECT ON DATABASE {} TO {}", database, runtime["user"])
    finally:
        engine.dispose()


def _create_role(connection: Connection, name: str, password: str | None) -> None:
    if not connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname = :name"), {"name": name}):
        _execute(connection, "CREATE ROLE {} LOGIN", name)
    if password is not None:
        # What the server stores, made of letters, digits and $:+/=-. Neither the server nor its log sees the password.
        driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
        verifier = driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        _execute(connection, f"ALTER ROLE {{}} PASSWORD '{verifier}'", name)


def _create_database(connection: Connection, name: str, owner: str) -> None:
    if not connection.scalar(text("SELECT count(*) FROM pg_database WHERE datname = :name"), {"name": name}):
        _execute(connection, "CREATE DATABASE {} OWNER {}", name, owner)


def _execute(connection: Connection, statement: str, *names: str) -> None:
    quote = connection.dialect.identifier_preparer.quote_identifier
    connection.exec_driver_sql(statement.format(*map(quote, names)))
