"""An executor process as its supervisor sees it: the commands it gets, its reports, and how it ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import structlog

from taskcore.domain.tasks import AttemptKey
from taskcore.leasing.executor_exits import ExecutorExit, ExitKind
from taskcore.leasing.lost_claims import NEVER_REPORTED, ProcessReport
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.kill_plan import STARTUP_TIMEOUT_S, ExecutorState
from taskworker.supervisor.protocol import Command, Interrupt, RequestPause, SetFence

#: The most that one observation adds to a silence: a supervisor that was stopped itself has not listened.
MAX_OBSERVATION_GAP_S = 0.5

log = structlog.stdlib.get_logger(__name__)


@dataclass(slots=True)
class SilenceTimer:
    """For how long a process has been silent while the supervisor listened."""

    elapsed_s: float = 0.0
    _observed_at: float | None = None

    def observe(self, now: float, *, heard: bool) -> None:
        """`heard`: whether the process has reported since the last observation."""
        if heard:
            self.elapsed_s = 0.0
        elif self._observed_at is not None:
            self.elapsed_s += min(now - self._observed_at, MAX_OBSERVATION_GAP_S)
        self._observed_at = now


@dataclass(slots=True)
class ExecutorHandle:
    """One process. `interrupted_at`: when attempts were interrupted; `timed_out`: those that it was killed for."""

    process: BaseProcess
    pipe: Connection
    attempt_table: AttemptTable
    worker_id: int
    incarnation: int
    startup_timeout_s: float = STARTUP_TIMEOUT_S
    report: ProcessReport | None = None
    silence: SilenceTimer = field(default_factory=SilenceTimer)
    interrupted_at: dict[AttemptKey, float] = field(default_factory=dict)
    timed_out: frozenset[AttemptKey] = frozenset()
    kill_kind: ExitKind | None = None
    is_fenced: bool = False
    is_stopping: bool = False

    def send(self, command: Command) -> None:
        """Send without blocking: the pipe of an unresponsive process fills up, and other processes must not suffer."""
        try:
            if not _has_room(self.pipe):
                self._handle_undeliverable(command)
                return
            self.pipe.send(command)
        except OSError:
            return  # it is dead, which the supervisor notices next
        if isinstance(command, Interrupt):
            self.interrupted_at.setdefault(command.key, time.monotonic())

    def set_fence(self, is_up: bool) -> None:
        if self.is_fenced != is_up:
            self.is_fenced = is_up
            self.send(SetFence(is_up))

    @property
    def is_idle(self) -> bool:
        """Whether the process certainly runs nothing."""
        if self.report is None or not self.report.is_fresh(time.monotonic()):
            return False
        return not self.report.running and not self.attempt_table.entries()

    def kill(self, kind: ExitKind, timed_out: Collection[AttemptKey] = ()) -> None:
        """Kill the process. The reason of the first call stands."""
        if self.kill_kind is None:
            self.kill_kind, self.timed_out = kind, frozenset(timed_out)
        self.kill_group()
        self.process.kill()

    def kill_group(self) -> None:
        """Kill the processes that this one has started, also after its own end."""
        if (pid := self.process.pid) is not None:
            with suppress(ProcessLookupError, PermissionError):  # there is no such group, or only dead processes in it
                os.killpg(pid, signal.SIGKILL)

    def read_reports(self) -> None:
        before = self.report
        try:
            while self.pipe.poll():
                self.report = self.pipe.recv()
        except (EOFError, OSError):
            return
        self.silence.observe(time.monotonic(), heard=self.report is not before)
        running = self.attempt_table.keys()
        self.interrupted_at = {key: at for key, at in self.interrupted_at.items() if key in running}

    def state(self) -> ExecutorState:
        return ExecutorState(
            self.attempt_table.entries(),
            self.interrupted_at,
            self.silence.elapsed_s,
            self.report is not None,
            self.startup_timeout_s,
        )

    def process_report(self) -> ProcessReport:
        """Return the last report for the lease manager."""
        return self.report or ProcessReport(self.incarnation, NEVER_REPORTED)

    def exit(self) -> ExecutorExit:
        """Describe how the process, which is dead, has ended."""
        has_drained = self.is_stopping and self.process.exitcode == 0
        kind = self.kill_kind or (ExitKind.DRAINED if has_drained else ExitKind.CRASHED)
        return ExecutorExit(self.incarnation, kind, self.process.exitcode, self.attempt_table.keys(), self.timed_out)

    def _handle_undeliverable(self, command: Command) -> None:
        """Interrupts and pause requests are sent again. A process that misses any other command must not go on."""
        if not isinstance(command, Interrupt | RequestPause):
            log.error("executor.unresponsive", incarnation=self.incarnation, undelivered=type(command).__name__)
            self.kill(ExitKind.UNRESPONSIVE)


def _has_room(pipe: Connection) -> bool:
    """Whether a small message can be sent without blocking. If the other end is closed, sending raises OSError."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))
