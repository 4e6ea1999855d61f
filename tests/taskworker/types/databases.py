"""Contexts that know a real database under the name `default`."""

from __future__ import annotations

from typing import Any

import psycopg

from taskcore.plugins import TaskContext
from tests.taskworker.types.contexts import make_context


def database_context(url: str, **options: Any) -> TaskContext:
    return make_context(databases={"default": {"url": url, "timeout_s": 60} | options})


def query(url: str, statement: str) -> list[Any]:
    """What a client of the test's own sees, in a transaction of its own."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
