"""Following a task until it is over: what its attempts say, and, for a whole watch, each step and its progress too."""

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
    """What a task told last of how far it is."""

    progress: Any


class LogStream:
    """The lines of a task, or of one of its attempts, each once."""

    def __init__(self, client: Client, task_id: int, attempt: int | None = None) -> None:
        self._client = client
        self._task_id = task_id
        self._attempt = attempt
        self._after: str | None = None

    def read_new(self, task: Task | None = None) -> Iterator[LogLine]:
        """Those that are new."""
        has_more = True
        while has_more:
            page = self._client.logs(self._task_id, attempt=self._attempt, after=self._after, limit=PAGE_SIZE)
            self._after, has_more = page.next_after, page.has_more
            yield from page.items


class ActivityStream:
    """Everything that a task does: its steps, what it says, and how far it is."""

    def __init__(self, client: Client, task_id: int) -> None:
        self._client = client
        self._task_id = task_id
        self._tail = LogStream(client, task_id)
        self._last_step = 0
        self._progress: Any = None

    def read_new(self, task: Task) -> Iterator[HistoryEntry | Progress | LogLine]:
        """What is new, in the order of its time; of progress, the last one only."""
        steps = [step for step in self._client.history(self._task_id) if step.id > self._last_step]
        self._last_step = max([self._last_step, *(step.id for step in steps)])
        lines = list(self._tail.read_new(task))
        news: list[HistoryEntry | LogLine] = [*steps, *lines]
        yield from sorted(news, key=lambda one: one.at)
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
    """What `read` finds, again and again until the task is over. Returns the task. Raises TimedOut.

    What an attempt said is there before its end is: nothing is missed.
    """
    started = clock()
    task = client.get(task_id)
    while True:
        yield from read(task)
        if task.is_terminal:
            return task
        if timeout is not None and clock() - started >= timeout.total_seconds():
            raise WaitTimeout(task, timeout)
        task = _after_a_while(client, task_id)


def _after_a_while(client: Client, task_id: int) -> Task:
    try:
        return client.wait(task_id, POLL_INTERVAL)
    except WaitTimeout as not_over:
        return not_over.task
