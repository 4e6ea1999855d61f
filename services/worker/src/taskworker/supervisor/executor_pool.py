"""The executor processes of a worker: started, given orders, heard, and buried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from typing import Any

import structlog

from taskcore.leasing.executor_exits import Death, Kind
from taskcore.observability.telemetry import EXECUTOR_DEATHS
from taskcore.settings import Settings
from taskworker.supervisor import executor_process
from taskworker.supervisor.attempt_table import Board
from taskworker.supervisor.executor_handle import Child
from taskworker.supervisor.executor_process import Serve

log = structlog.stdlib.get_logger(__name__)


class Executors:
    """Used by the supervisor's main thread alone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._children: list[Child] = []
        self._incarnations = 0

    def __iter__(self) -> Iterator[Child]:
        return iter(list(self._children))

    def __len__(self) -> int:
        return len(self._children)

    def waitable(self) -> list[Any]:
        """What becomes ready when one dies or says something."""
        return [one for child in self._children for one in (child.process.sentinel, child.pipe)]

    def of(self, incarnation: int) -> Child | None:
        return next((child for child in self._children if child.incarnation == incarnation), None)

    def fill(self, worker_id: int, queues: Sequence[str]) -> None:
        """Start as many as are missing."""
        while len(self._children) < self.settings.worker.processes:
            self._children.append(self._started(worker_id, queues))

    def bury(self) -> list[tuple[int, Death]]:
        """Take out those that are dead. Answers of which worker each was, and how it died."""
        found = []
        for child in [c for c in self._children if not c.process.is_alive()]:
            self._children.remove(child)
            child.process.join()
            child.pipe.close()
            found.append((child.worker_id, _death(child)))
        return found

    def kill(self, kind: Kind) -> None:
        """Kill all, and wait until they are dead."""
        for child in self._children:
            child.kill(kind)
        for child in self._children:
            child.process.join()

    def _started(self, worker_id: int, queues: Sequence[str]) -> Child:
        self._incarnations += 1
        context = get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        board = Board(self.settings.worker.threads)
        process = context.Process(
            target=executor_process.main,
            args=(self.settings, worker_id, self._incarnations, theirs, board),
            name=f"executor-{self._incarnations}",
        )
        process.start()
        theirs.close()
        child = Child(process, ours, board, worker_id, self._incarnations)
        child.order(Serve(tuple(queues)))
        return child


def _death(child: Child) -> Death:
    ran = frozenset((p.task_id, p.attempt) for p in child.board.posted())
    has_drained = child.is_stopping and child.process.exitcode == 0
    kind = child.killed_as or (Kind.DRAINED if has_drained else Kind.CRASHED)
    EXECUTOR_DEATHS.labels(kind).inc()
    say = log.info if kind is Kind.DRAINED else log.error
    say("executor.died", kind=kind, exit_code=child.process.exitcode, incarnation=child.incarnation)
    return Death(child.incarnation, kind, child.process.exitcode, ran, child.timed_out)
