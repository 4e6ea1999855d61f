"""Follow a task until it has finished: its log lines, or all its activity (transitions, progress and log lines)."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import msgspec

from taskclient.client import Client
from taskclient.errors import WaitTimeout
from taskclient.models import HistoryEntry, LogLine, Task

PAGE_SIZE = 1_000
POLL_INTERVAL = timedelta(seconds=1)

E = TypeVar("E")


class Progress(msgspec.Struct, frozen=True):
    """The latest progress that a task reported."""

    progress: Any


class LogStream:
    """The log lines of a task, or of one of its attempts, each once."""

    def __init__(self, client: Client, task_id: int, attempt: int | None = None) -> None:
        self._client = client
        self._task_id = task_id
        self._attempt = attempt
        self._after: str | None = None

    def read_new(self, task: Task | None = None) -> Iterator[LogLine]:
        """Yield the lines added since the last call."""
        has_more = True
        while has_more:
            page = self._client.logs(self._task_id, attempt=self._attempt, after=self._after, limit=PAGE_SIZE)
            self._after, has_more = page.next_after, page.has_more
            yield from page.items


class ActivityStream:
    """The transitions, progress and log lines of a task, each once."""

    def __init__(self, client: Client, task_id: int) -> None:
        self._client = client
        self._task_id = task_id
        self._logs = LogStream(client, task_id)
        self._last_entry = 0
        self._progress: Any = None

    def read_new(self, task: Task) -> Iterator[HistoryEntry | Progress | LogLine]:
        """Yield what is new, ordered by time; of progress, only the latest value."""
        entries = [entry for entry in self._client.history(self._task_id) if entry.id > self._last_entry]
        self._last_entry = max([self._last_entry, *(entry.id for entry in entries)])
        activity: list[HistoryEntry | LogLine] = [*entries, *self._logs.read_new(task)]
        yield from sorted(activity, key=lambda item: item.at)
        if task.progress != self._progress:
            self._progress = task.progress
            yield Progress(task.progress)


def follow_task(
    client: Client,
    task_id: int,
    read: Callable[[Task], Iterator[E]],
    timeout: timedelta | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Generator[E, None, Task]:
    """Yield what `read` returns, polling until the task has finished. Return the task. Raise WaitTimeout.

    An attempt's log lines are stored before its end is, so the last read misses none.
    """
    started = clock()
    task = client.get(task_id)
    while True:
        yield from read(task)
        if task.is_terminal:
            return task
        if timeout is not None and clock() - started >= timeout.total_seconds():
            raise WaitTimeout(task, timeout)
        task = _wait_one_interval(client, task_id)


def _wait_one_interval(client: Client, task_id: int) -> Task:
    try:
        return client.wait(task_id, POLL_INTERVAL)
    except WaitTimeout as error:
        return error.task
