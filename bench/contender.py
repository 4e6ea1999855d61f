"""What is compared: something that takes no-op tasks and runs them on two processes of eight threads."""

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
    """From the first start to the last end of some tasks, in seconds of this machine's clock."""

    first_started_at: float
    last_finished_at: float


class Contender(Protocol):
    name: str

    def prepare(self, tasks: int) -> None:
        """Build what `submit` sends; not measured."""

    def submit(self) -> None:
        """Hand in the prepared tasks over one connection. Returns when all are accepted."""

    def start_workers(self) -> None:
        """Returns at once: the processes take a second or so to start."""

    def stop_workers(self) -> None: ...

    def flush_writes(self) -> None:
        """Leave no debt of writes to whoever is measured next."""

    def has_started(self) -> bool:
        """Whether any of the tasks that were prepared last runs or has run."""

    def wait(self) -> RunWindow:
        """Until all of the tasks that were prepared last have run."""

    def processes(self) -> Mapping[str, Sequence[psutil.Process]]:
        """Those that work now, by what they do."""
