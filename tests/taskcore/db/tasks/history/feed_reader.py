"""A reader of the feed that remembers what it received, and open transactions that write history."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine

from taskcore.db.engine import sync_engine
from taskcore.db.tasks import history_feed
from taskcore.db.tasks.submit import submit
from taskcore.domain.feed import DeliveredRow, Position
from tests.taskcore.db.db_harness import DatabaseHarness, new_task


class Reader:
    def __init__(self, engine: Engine, cursor: int = 0, room: int = history_feed.PAGE_SIZE) -> None:
        self.engine, self.room = engine, room
        self.start = cursor
        self.position = Position(cursor)
        self.shown: list[DeliveredRow] = []

    @property
    def ids(self) -> list[int]:
        return [shown.row.id for shown in self.shown]

    def read(self) -> None:
        page = history_feed.read(self.engine, self.position, self.room)
        assert page.expired is None
        self.position = page.position
        self.shown += page.rows

    def read_to_the_end(self) -> None:
        """Read until everything committed is received and no gap is open."""
        while True:
            before = self.position
            self.read()
            if self.position == before and not before.gaps:
                return


def open_transaction(engine: Engine) -> Connection:
    connection = engine.connect().execution_options(isolation_level="READ COMMITTED")
    connection.begin()
    return connection


def write_in(connection: Connection, count: int = 1) -> None:
    """Write `count` rows of history without committing them."""
    connection.execute(*submit([new_task() for _ in range(count)]))


def end(connection: Connection, *, is_committed: bool) -> None:
    connection.commit() if is_committed else connection.rollback()
    connection.close()


def all_ids(db: DatabaseHarness) -> list[int]:
    return [row.id for row in db.sql("SELECT id FROM task_history ORDER BY id")]


def assert_nothing_missed(reader: Reader, whole: list[int]) -> None:
    """Whatever a prefix of the reader's rows lacks lies beyond the cursor that came with it."""
    seen = {id_ for id_ in whole if id_ <= reader.start}
    due = iter([id_ for id_ in whole if id_ > reader.start])
    waiting = next(due, None)
    for shown in reader.shown:
        seen.add(shown.row.id)
        while waiting is not None and waiting <= shown.cursor:
            assert waiting in seen, f"{waiting} is missed by a reader that resumes from {shown.cursor}"
            waiting = next(due, None)
    assert seen == set(whole)


@contextmanager
def second_engine(database_url: str, pool_size: int) -> Iterator[Engine]:
    """Yield another engine on the same database."""
    engine = sync_engine(database_url, name="tests", pool_size=pool_size)
    yield engine
    engine.dispose()
