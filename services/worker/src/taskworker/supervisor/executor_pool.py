"""The executor processes of a worker: started, listed, killed and reaped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import structlog

from taskcore.leasing.executor_exits import ExecutorExit, ExitKind
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.observability.metrics import EXECUTOR_EXITS
from taskcore.settings import Settings
from taskworker.supervisor import executor_process
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_handle import ExecutorHandle
from taskworker.supervisor.kill_plan import STARTUP_TIMEOUT_S, next_startup_timeout_s
from taskworker.supervisor.protocol import ConsumeQueues

#: Starts a process from (settings, worker id, incarnation, attempt table). Returns it with our end of its pipe.
StartProcess = Callable[[Settings, int, int, AttemptTable], tuple[BaseProcess, Connection]]

log = structlog.stdlib.get_logger(__name__)


def start_executor_process(
    settings: Settings, worker_id: int, incarnation: int, attempt_table: AttemptTable
) -> tuple[BaseProcess, Connection]:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=True)
    process = context.Process(
        target=executor_process.main,
        args=(settings, worker_id, incarnation, theirs, attempt_table),
        name=f"executor-{incarnation}",
    )
    process.start()
    theirs.close()
    return process, ours


class ExecutorPool:
    """Used by the supervisor's main thread only, except `reports`."""

    def __init__(self, settings: Settings, start_process: StartProcess = start_executor_process) -> None:
        self.settings = settings
        self._start_process = start_process
        self._handles: list[ExecutorHandle] = []
        self._incarnations = 0
        self._startup_timeout_s = STARTUP_TIMEOUT_S

    def __iter__(self) -> Iterator[ExecutorHandle]:
        return iter(list(self._handles))

    def __len__(self) -> int:
        return len(self._handles)

    def wait_objects(self) -> list[Any]:
        """Return what becomes ready when a process ends or sends a report."""
        return [item for handle in self._handles for item in (handle.process.sentinel, handle.pipe)]

    def get(self, incarnation: int) -> ExecutorHandle | None:
        return next((handle for handle in self._handles if handle.incarnation == incarnation), None)

    def respawn(self, worker_id: int, queues: Sequence[str]) -> None:
        """Start processes until there are as many as the settings ask for."""
        while len(self._handles) < self.settings.worker.processes:
            self._incarnations += 1
            attempt_table = AttemptTable(self.settings.worker.threads)
            process, pipe = self._start_process(self.settings, worker_id, self._incarnations, attempt_table)
            handle = ExecutorHandle(
                process, pipe, attempt_table, worker_id, self._incarnations, self._startup_timeout_s
            )
            handle.send(ConsumeQueues(tuple(queues)))
            self._handles.append(handle)

    def reap(self) -> list[tuple[int, ExecutorExit]]:
        """Remove dead processes. Return the id of each one's worker, and how it ended."""
        exits = []
        for handle in [handle for handle in self._handles if not handle.process.is_alive()]:
            self._handles.remove(handle)
            handle.kill_group()
            handle.process.join()
            handle.pipe.close()
            exit_ = handle.exit()
            exits.append((handle.worker_id, exit_))
            self._startup_timeout_s = next_startup_timeout_s(
                handle.startup_timeout_s,
                has_reported=handle.report is not None,
                was_unresponsive=exit_.kind is ExitKind.UNRESPONSIVE,
            )
            EXECUTOR_EXITS.labels(exit_.kind).inc()
            write = log.info if exit_.kind is ExitKind.DRAINED else log.error
            write("executor.exited", kind=exit_.kind, exit_code=exit_.exit_code, incarnation=exit_.incarnation)
        return exits

    def kill_all(self, kind: ExitKind) -> None:
        """Kill all processes and wait until they are dead."""
        for handle in self._handles:
            handle.kill(kind)
        for handle in self._handles:
            handle.process.join()

    def reports(self) -> list[ProcessReport]:
        """Return the last report of each live process. An attempt of a process that is not listed is lost."""
        return [handle.process_report() for handle in self]
