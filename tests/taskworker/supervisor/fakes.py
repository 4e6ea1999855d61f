"""Fakes at the supervisor's seams: its lease, its executor processes, and its liveness signal."""

from __future__ import annotations

import os
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from uuid import uuid4

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.leasing.executor_exits import ExecutorExit
from taskcore.leasing.lease_manager import Directives, LeaseManager
from taskcore.reconnecting_thread import ReconnectingThread
from taskcore.settings import Settings
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.protocol import Command


def claimed(task_id: int, attempt: int = 1) -> ClaimedTask:
    return ClaimedTask(Lease(task_id, attempt, uuid4()), "t", "noop", "default", {}, 0, 4, 0.0)


class FakeLease(LeaseManager):
    """Registered as worker 1, with the whole lease left, until a test says otherwise."""

    def __init__(self) -> None:
        self.worker_id: int | None = 1
        self.directives: SimpleQueue[Directives] = SimpleQueue()
        self.has_heartbeats = True
        self.share_left = 1.0
        self.losses = 0
        self.exits: list[tuple[int, ExecutorExit]] = []
        self.is_deregistered = False

    @property
    def is_fresh(self) -> bool:
        return self.has_heartbeats

    def start(self) -> None:
        pass

    def is_expiring(self, share: float) -> bool:
        return self.share_left <= share

    def record_loss(self) -> None:
        self.losses += 1

    def record_exit(self, worker_id: int, exit_: ExecutorExit) -> None:
        self.exits.append((worker_id, exit_))

    def deregister(self, timeout_s: float) -> None:
        self.is_deregistered = True


class FakeSignal(ReconnectingThread):
    name = "fake"
    reconnect_delay_s = 0.0

    def __init__(self) -> None:
        self.is_connected = True

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def _hold_connection(self) -> None:
        raise AssertionError("no thread runs")


class FakeProcess(BaseProcess):
    """An executor process that only exists as the other end of its pipe."""

    def __init__(self, worker_id: int, incarnation: int, attempt_table: AttemptTable, pipe: Connection) -> None:
        self.worker_id = worker_id
        self.incarnation = incarnation
        self.attempts = attempt_table.writer()
        self.pipe = pipe
        self._exitcode: int | None = None
        self._sentinel, self._alive = os.pipe()

    @property
    def pid(self) -> None:
        return None

    @property
    def sentinel(self) -> int:
        return self._sentinel

    @property
    def exitcode(self) -> int | None:
        return self._exitcode

    def is_alive(self) -> bool:
        return self._exitcode is None

    def kill(self) -> None:
        self.exit(-9)

    def join(self, timeout: float | None = None) -> None:
        assert self._exitcode is not None

    def exit(self, exitcode: int) -> None:
        if self._exitcode is None:
            self._exitcode = exitcode
            os.close(self._alive)

    def commands(self) -> list[Command]:
        """Take what the supervisor has sent since the last call."""
        received = []
        with suppress(EOFError):
            while self.pipe.poll():
                received.append(self.pipe.recv())
        return received


class FakeProcesses:
    """Starts fake processes; `started` lists them all."""

    def __init__(self) -> None:
        self.started: list[FakeProcess] = []

    def start(
        self, settings: Settings, worker_id: int, incarnation: int, attempt_table: AttemptTable
    ) -> tuple[FakeProcess, Connection]:
        ours, theirs = Pipe(duplex=True)
        process = FakeProcess(worker_id, incarnation, attempt_table, theirs)
        self.started.append(process)
        return process, ours

    def close(self) -> None:
        for process in self.started:
            process.exit(0)
            process.pipe.close()
            os.close(process.sentinel)
