"""The end-to-end check: submit many tasks under one label and poll them until all have finished.

`taskclient.cli.end2end` shows its progress and its summary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any
from uuid import UUID

import msgspec

from taskclient.client import Client
from taskclient.models import TERMINAL, NewTask, Status, StatusCounts

LABEL = "end2end"
POLL_INTERVAL_S = 0.5
COUNT_INTERVAL_S = 5.0
MAX_SHOWN_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """The tasks to submit. Without a `type`, half are `run_query` and half `send_email`."""

    run_id: UUID
    count: int
    type: str | None = None
    database: str = "default"
    to: str = "end2end@example.com"

    @property
    def label(self) -> tuple[str, str]:
        return LABEL, str(self.run_id)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The number of finished tasks `elapsed_s` after the start. `counts` is set every few seconds."""

    finished: int
    elapsed_s: float
    counts: StatusCounts | None = None


class Failure(msgspec.Struct, frozen=True):
    id: int
    name: str
    status: str
    error: str | None


class Summary(msgspec.Struct, frozen=True):
    """The result of a check. `tasks_per_second` is finished tasks over the time from first submission to last poll."""

    label: str
    tasks: int
    counts: StatusCounts
    seconds: float
    tasks_per_second: float
    failures: list[Failure]


@dataclass(frozen=True, slots=True)
class Clock:
    """A monotonic clock in seconds, and a way to sleep."""

    now: Callable[[], float] = field(default=time.monotonic)
    sleep: Callable[[float], None] = field(default=time.sleep)


class EndToEndCheck:
    """One run of a plan."""

    def __init__(self, client: Client, plan: Plan, timeout_s: float, clock: Clock) -> None:
        self._client = client
        self._plan = plan
        self._timeout_s = timeout_s
        self._clock = clock
        self._started = self._counted = clock.now()
        self._elapsed_s = 0.0

    def run(self, batch_size: int) -> Iterator[Snapshot]:
        """Submit the tasks, then yield a snapshot at each poll until all have finished or the timeout has expired.

        Raise what the client raises.
        """
        tasks = plan_tasks(self._plan)
        while not self._is_time_up() and (batch := list(islice(tasks, batch_size))):
            self._client.submit_batch(batch)
            if self._is_count_due(self._clock.now()):
                yield self._take_snapshot()
        while (snapshot := self._take_snapshot()).finished < self._plan.count and not self._is_time_up():
            yield snapshot
            self._clock.sleep(POLL_INTERVAL_S)
        yield snapshot

    def count(self) -> StatusCounts:
        """Count the plan's tasks by status, one request per status: a task that changes meanwhile may be missed."""
        return StatusCounts(**{status.value: self._total(status) for status in Status}, total=self._total())

    def summarize(self) -> Summary:
        counts = self.count()
        return Summary(
            label="=".join(self._plan.label),
            tasks=self._plan.count,
            counts=counts,
            seconds=round(self._elapsed_s, 3),
            tasks_per_second=round(counts.finished / self._elapsed_s, 1) if self._elapsed_s > 0 else 0.0,
            failures=self._failures() if counts.finished > counts.succeeded else [],
        )

    def _take_snapshot(self) -> Snapshot:
        finished = self._total(*TERMINAL)
        now = self._clock.now()
        self._elapsed_s = now - self._started
        if not self._is_count_due(now):
            return Snapshot(finished, self._elapsed_s)
        self._counted = now
        return Snapshot(finished, self._elapsed_s, self.count())

    def _is_count_due(self, now: float) -> bool:
        return now - self._counted >= COUNT_INTERVAL_S

    def _is_time_up(self) -> bool:
        return self._clock.now() - self._started >= self._timeout_s

    def _total(self, *statuses: Status) -> int:
        return self._client.list(labels=[self._plan.label], status=statuses, limit=1).total

    def _failures(self) -> list[Failure]:
        page = self._client.list(
            labels=[self._plan.label], status=[Status.FAILED, Status.CANCELLED], limit=MAX_SHOWN_FAILURES
        )
        return [Failure(task.id, task.name, task.status, task.error or task.reason) for task in page.items]


def plan_tasks(plan: Plan) -> Iterator[NewTask]:
    """Yield the tasks in the order of their numbers, alternating between the two types."""
    types = (plan.type,) if plan.type else ("run_query", "send_email")
    for number in range(plan.count):
        task_type = types[number % len(types)]
        name = f"{LABEL}-{plan.run_id.hex[:8]}-{number}"
        parameters = _parameters(task_type, plan, name)
        yield NewTask(name=name, type=task_type, parameters=parameters, labels=dict([plan.label]))


def _parameters(task_type: str, plan: Plan, name: str) -> dict[str, Any]:
    match task_type:
        case "run_query":
            return {"database": plan.database, "query": "SELECT 1 AS one"}
        case "send_email":
            return {"to": [plan.to], "subject": name, "body": f"Sent by task-cli end2end as task {name}."}
    return {}
