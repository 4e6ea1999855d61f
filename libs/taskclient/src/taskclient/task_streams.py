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
from taskclient.streams import PAGE_SIZE, Stream

POLL_INTERVAL = timedelta(seconds=1)

E = TypeVar("E")


class Progress(msgspec.Struct, frozen=True):
    """The latest progress that a task reported."""

    progress: Any


def log_stream(client: Client, task_id: int, attempt: int | None = None) -> Stream[LogLine, str]:
    """Return the log lines of a task, or of one of its attempts."""
    return Stream(lambda after: client.logs(task_id, attempt=attempt, after=after, limit=PAGE_SIZE))


class ActivityStream:
    """The transitions, progress and log lines of a task, each once."""

    def __init__(self, client: Client, task_id: int) -> None:
        self._client = client
        self._task_id = task_id
        self._logs = log_stream(client, task_id)
        self._last_entry = 0
        self._progress: Any = None

    def read_new(self, task: Task) -> Iterator[HistoryEntry | Progress | LogLine]:
        """Yield what is new, ordered by time; of progress, only the latest value."""
        entries = self._client.history(self._task_id, after=self._last_entry)
        self._last_entry = max([self._last_entry, *(entry.id for entry in entries)])
        activity: list[HistoryEntry | LogLine] = [*entries, *self._logs.read_new()]
        yield from sorted(activity, key=lambda item: item.at)
        if task.progress != self._progress:
            self._progress = task.progress
            yield Progress(task.progress)


def follow_task(
    client: Client,
    task_id: int,
    read: Callable[[Task], Iterator[E]],
    timeout: timedelta | None = None,
) -> Generator[E, None, Task]:
    """Yield what `read` returns, polling until the task has finished. Return the task. Raise WaitTimeout.

    An attempt's log lines are stored before its end is, so the last read misses none.
    """
    started = time.monotonic()
    task = client.get(task_id)
    while True:
        yield from read(task)
        if task.is_terminal:
            return task
        if timeout is not None and time.monotonic() - started >= timeout.total_seconds():
            raise WaitTimeout(task, timeout)
        try:
            task = client.wait(task_id, POLL_INTERVAL)
        except WaitTimeout as error:
            task = error.task
