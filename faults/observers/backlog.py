"""The backlog over time: the number of open tasks, sampled several times per second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from threading import Event, Thread

import psycopg

SAMPLE_EVERY_S = 0.25
SMOOTHING_WINDOW = 5
#: The level fluctuates: up to this much above its earlier maximum counts as unchanged.
LEVEL_FACTOR, LEVEL_MARGIN = 1.1, 5

OPEN_TASKS = """
    SELECT count(*) FROM task WHERE status IN ('blocked', 'queued', 'running', 'retrying', 'cancelling')
"""


@dataclass(frozen=True, slots=True)
class Sample:
    at: float
    count: int


class Backlog:
    """Samples from `start` to `stop`, except while the database is unavailable."""

    def __init__(self, database_url: str) -> None:
        self.samples: list[Sample] = []
        self._database_url = database_url
        self._stop = Event()
        self._thread = Thread(target=self._watch, name="backlog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def level(self, since: float) -> float:
        """Return the level between `since` and now, including the tolerance."""
        counts = [one.count for one in smooth(self.samples) if one.at >= since]
        return max(counts, default=0) * LEVEL_FACTOR + LEVEL_MARGIN

    def last_above(self, level: float, since: float) -> float:
        """Return when the backlog was last above `level`, or `since` when it was not above it after that."""
        return max((one.at for one in smooth(self.samples) if one.at >= since and one.count > level), default=since)

    def is_known_since(self, at: float) -> bool:
        return bool(self.samples) and self.samples[-1].at >= at

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            with (
                suppress(psycopg.Error),
                psycopg.connect(self._database_url, autocommit=True, connect_timeout=2) as connection,
            ):
                self._sample(connection)

    def _sample(self, connection: psycopg.Connection) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            row = connection.execute(OPEN_TASKS).fetchone()
            assert row is not None
            self.samples.append(Sample(time.monotonic(), row[0]))


def smooth(samples: Sequence[Sample]) -> list[Sample]:
    """Return moving medians over about a second, which removes outliers."""
    kept = list(samples)
    windows = (kept[max(0, i - SMOOTHING_WINDOW + 1) : i + 1] for i in range(len(kept)))
    return [Sample(window[-1].at, round(median(one.count for one in window))) for window in windows]
