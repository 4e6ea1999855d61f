"""Queries on a database as another client sees it."""

from __future__ import annotations

from typing import Any

import psycopg


def query(url: str, statement: str) -> list[Any]:
    """Run one statement in a transaction of its own and return its rows."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []
