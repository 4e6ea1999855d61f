"""Statements, transactions and leases for tests on a database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Executable, text

from collector_k8s.lease import Lease
from taskcore.db.kubernetes.collector_leases import acquire_lease, create_lease

LEASE_NAME = "k8s:here"


def execute(engine: Engine, statement: Executable, **parameters: Any) -> list[Any]:
    with engine.connect() as connection:
        result = connection.execute(statement, parameters)
        return list(result) if result.returns_rows else []


def query(engine: Engine, sql: str) -> list[Any]:
    return execute(engine, text(sql))


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        yield connection


def acquire(engine: Engine, ttl_s: float) -> Lease:
    execute(engine, create_lease(), lease=LEASE_NAME)
    ((epoch,),) = execute(engine, acquire_lease(), lease=LEASE_NAME, by="tests", ttl_s=ttl_s)
    return Lease(LEASE_NAME, epoch)
