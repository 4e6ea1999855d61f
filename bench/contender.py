"""The interface of a contender: it accepts no-op tasks and runs them on two processes of eight threads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import psutil

PROCESSES = 2
THREADS = 8
PREFETCH = 16
DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class RunWindow:
    """The first start and the last end of a set of tasks, as Unix times."""

    first_started_at: float
    last_finished_at: float


class Contender(Protocol):
    name: str

    def prepare(self, tasks: int) -> None:
        """Build the requests that `submit` sends. Not measured."""

    def submit(self) -> None:
        """Submit the prepared tasks over one connection. Return when all are accepted."""

    def start_workers(self) -> None:
        """Start the workers without waiting: the processes take about a second to start."""

    def stop_workers(self) -> None: ...

    def flush_writes(self) -> None:
        """Flush pending writes, so that they do not slow down the next contender."""

    def has_started(self) -> bool:
        """Return whether any of the tasks prepared last has started."""

    def wait(self) -> RunWindow:
        """Wait until all tasks prepared last have finished."""

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Return the running processes by role."""
