"""Connections whose calls have a deadline: a server can hang while its kernel keeps answering for it."""

from __future__ import annotations

from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow
from sqlalchemy import Engine, event

WAIT_INTERVAL_S = 0.1
#: After this share of the deadline a server that does not hang gives up by itself, so that no statement stays behind.
SERVER_TIMEOUT_SHARE = 0.8

Result = TypeVar("Result")


class DeadlineConnection(psycopg.Connection[TupleRow]):
    """A reply that takes longer than `deadline_s` raises `OperationalError`, and the connection is closed."""

    deadline_s: float | None = None

    def wait(self, gen: PQGen[Result], interval: float = WAIT_INTERVAL_S, timeout: float | None = None) -> Result:
        """Wait for a reply; psycopg calls this for every one."""
        try:
            return super().wait(gen, interval, self.deadline_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:  # a late reply must not reach the next call
                self.pgconn.finish()
            raise


def statement_timeout(deadline_s: float | None) -> dict[str, str]:
    """Return the setting by which a server gives up before the deadline."""
    return {} if deadline_s is None else {"statement_timeout": f"{int(deadline_s * SERVER_TIMEOUT_SHARE * 1000)}ms"}


def set_reply_deadline(engine: Engine, deadline_s: float) -> None:
    """Give the connections that `engine` opens from now on a deadline."""

    def connect(_dialect: Any, _record: Any, arguments: Any, parameters: dict[str, Any]) -> DeadlineConnection:
        connection = DeadlineConnection.connect(*arguments, **parameters)
        connection.deadline_s = deadline_s
        return connection

    event.listen(engine, "do_connect", connect)
