"""A history reader that stops and resumes from its cursor repeatedly; in the end it must have seen every row."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread

from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from taskcore.db.engine import sync_engine
from taskcore.db.models import TaskHistory
from taskcore.db.tasks import history_feed
from taskcore.domain.feed import Position

POLL_S = 0.1
RESUME_EVERY = 50  # rounds
CATCH_UP_TIMEOUT_S = 30.0


class FeedReader:
    """Reads from `start` to `stop`. `lag_s`: maximum age of a row when read; `stall_s`: longest stall of the cursor."""

    def __init__(self, database_url: str) -> None:
        self.lag_s = self.stall_s = 0.0
        self._began = datetime.now(UTC)
        self._engine = sync_engine(database_url, name="faults", pool_size=1)
        self._seen: set[int] = set()
        self._position = Position()
        self._stop = Event()
        self._thread = Thread(target=self._follow, name="feed_reader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def missed_rows(self) -> int:
        """After `stop`, return the number of rows that the cursor has passed but that were never read."""
        deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
        while self._position.cursor < self._last() and time.monotonic() < deadline:
            self._read()
            time.sleep(POLL_S)
        with self._engine.connect() as connection:
            ids = connection.execute(select(TaskHistory.id)).scalars()
            missed = sum(1 for id_ in ids if id_ not in self._seen)
        self._engine.dispose()
        return missed

    def _follow(self) -> None:
        rounds = 0
        while not self._stop.wait(POLL_S):
            rounds += 1
            if rounds % RESUME_EVERY == 0:
                self._position = Position(self._position.cursor)
            with suppress(DBAPIError):
                self._read()

    def _read(self) -> None:
        page = history_feed.read(self._engine, self._position)
        now = datetime.now(UTC)
        for one in page.rows:
            written_at: datetime = one.row.at  # type: ignore[attr-defined]
            if one.row.id not in self._seen and written_at > self._began:
                self.lag_s = max(self.lag_s, (now - written_at).total_seconds())
            self._seen.add(one.row.id)
        self._position = page.position
        self.stall_s = max(self.stall_s, page.position.gap_age_s(time.monotonic()))

    def _last(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(TaskHistory.id), 0))).scalar_one())
