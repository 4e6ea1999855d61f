"""The executor processes of a worker: started, given orders, heard, and buried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from multiprocessing import get_context
from typing import Any

import structlog

from taskcore.leasing.executor_exits import ExecutorExit, ExitKind
from taskcore.observability.metrics import EXECUTOR_EXITS
from taskcore.settings import Settings
from taskworker.supervisor import executor_process
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_handle import ExecutorHandle
from taskworker.supervisor.executor_process import ConsumeQueues

log = structlog.stdlib.get_logger(__name__)


class ExecutorPool:
    """Used by the supervisor's main thread alone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._handles: list[ExecutorHandle] = []
        self._incarnations = 0

    def __iter__(self) -> Iterator[ExecutorHandle]:
        return iter(list(self._handles))

    def __len__(self) -> int:
        return len(self._handles)

    def wait_objects(self) -> list[Any]:
        """What becomes ready when one dies or says something."""
        return [one for child in self._handles for one in (child.process.sentinel, child.pipe)]

    def get(self, incarnation: int) -> ExecutorHandle | None:
        return next((child for child in self._handles if child.incarnation == incarnation), None)

    def respawn(self, worker_id: int, queues: Sequence[str]) -> None:
        """Start as many as are missing."""
        while len(self._handles) < self.settings.worker.processes:
            self._handles.append(self._spawn(worker_id, queues))

    def reap(self) -> list[tuple[int, ExecutorExit]]:
        """Take out those that are dead. Answers of which worker each was, and how it died."""
        found = []
        for child in [c for c in self._handles if not c.process.is_alive()]:
            self._handles.remove(child)
            child.process.join()
            child.pipe.close()
            found.append((child.worker_id, _exit_of(child)))
        return found

    def kill_all(self, kind: ExitKind) -> None:
        """Kill all, and wait until they are dead."""
        for child in self._handles:
            child.kill(kind)
        for child in self._handles:
            child.process.join()

    def _spawn(self, worker_id: int, queues: Sequence[str]) -> ExecutorHandle:
        self._incarnations += 1
        context = get_context("spawn")
        ours, theirs = context.Pipe(duplex=True)
        board = AttemptTable(self.settings.worker.threads)
        process = context.Process(
            target=executor_process.main,
            args=(self.settings, worker_id, self._incarnations, theirs, board),
            name=f"executor-{self._incarnations}",
        )
        process.start()
        theirs.close()
        child = ExecutorHandle(process, ours, board, worker_id, self._incarnations)
        child.send(ConsumeQueues(tuple(queues)))
        return child


def _exit_of(child: ExecutorHandle) -> ExecutorExit:
    ran = frozenset((p.task_id, p.attempt) for p in child.attempt_table.entries())
    has_drained = child.is_stopping and child.process.exitcode == 0
    kind = child.kill_kind or (ExitKind.DRAINED if has_drained else ExitKind.CRASHED)
    EXECUTOR_EXITS.labels(kind).inc()
    say = log.info if kind is ExitKind.DRAINED else log.error
    say("executor.exited", kind=kind, exit_code=child.process.exitcode, incarnation=child.incarnation)
    return ExecutorExit(child.incarnation, kind, child.process.exitcode, ran, child.timed_out)
