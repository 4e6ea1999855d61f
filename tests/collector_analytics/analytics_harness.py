"""A database with task history at chosen times, and collection runs at chosen times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine

from collector_analytics.measurement import CollectionRun, measure
from taskcore.metrics import MetricSource
from taskcore.plugins import TaskContext
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)


def clock(hour: int, minute: int = 0) -> datetime:
    return NOON.replace(hour=hour, minute=minute)


HALF_HOUR = minutes(30)


class AnalyticsHarness(DatabaseHarness):
    """Taskcore's database, and a collector."""

    def __init__(self, engine: Engine, url: str) -> None:
        super().__init__(engine)
        self.url = url

    def context(self, **sections: Any) -> TaskContext:
        return TaskContext(0, 1, 0, Settings(database_url=SecretStr(self.url), **sections))

    def collection_run(self, at: datetime, width: timedelta = HALF_HOUR, **sections: Any) -> CollectionRun:
        return CollectionRun(self.context(**sections), self.engine, at, at - timedelta(seconds=5), width)

    def measure(self, source: MetricSource, at: datetime, width: timedelta = HALF_HOUR) -> int:
        return measure(source, self.collection_run(at, width))

    def add_history(self, task_id: int, at: datetime, *path: str | None, attempt: int = 0, **fields: Any) -> None:
        """Add a transition from the first status of `path` to the second. `None` stands for creation, or deletion."""
        before, after = path
        self.sql(
            "INSERT INTO task_history (task_id, attempt, from_status, to_status, actor, details, at) VALUES"
            " (:id, :attempt, :before, :after, :actor, CAST(:details AS jsonb), :at)",
            **{"actor": "api", "details": None, **fields},
            id=task_id,
            attempt=attempt,
            before=before,
            after=after,
            at=at,
        )

    def add_task(self, **fields: Any) -> int:
        columns = {"name": "t", "type": "noop", "queue": "default", "status": "queued", **fields}
        names = ", ".join(columns)
        values = ", ".join(f":{name}" for name in columns)
        statement = f"INSERT INTO task ({names}, parameters, priority, max_attempts) VALUES ({values}, '{{}}', 0, 4)"
        return int(self.sql(f"{statement} RETURNING id", **columns)[0].id)

    def add_submitted(self, at: datetime, by: str = "api", **fields: Any) -> int:
        task_id = self.add_task(**fields)
        self.add_history(task_id, at, None, "queued", actor=by)
        return task_id

    def samples(self, metric: str) -> dict[tuple[Any, ...], float]:
        """Return the values by bucket and label values, which are sorted by label name."""
        rows = self.sql(
            "SELECT labels, bucket, value FROM analytics_sample JOIN analytics_series ON id = series_id"
            " WHERE metric = :named",
            named=metric,
        )
        return {(row.bucket, *_values(row.labels)): row.value for row in rows}

    def total(self, metric: str) -> float:
        return sum(self.samples(metric).values())


def _values(labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(value for _, value in sorted(labels.items()))
