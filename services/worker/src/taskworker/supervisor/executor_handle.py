"""One executor process, as its supervisor sees it: what it is told, what it says, and when it should have stopped."""

from __future__ import annotations

import select
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from taskcore.leasing.executor_exits import AttemptKey, ExitKind
from taskworker.supervisor.attempt_table import AttemptTable
from taskworker.supervisor.executor_process import Command, Interrupt, Report, RequestPause, SetFence
from taskworker.supervisor.silence import SilenceTimer

log = structlog.stdlib.get_logger(__name__)

MAX_REPORT_AGE_S = 3.0
#: A process that says nothing for this long may only be slow, however short the lease is.
MIN_SILENCE_S = 10.0
#: How long it may take to start: to import the plugins, and to say something for the first time.
STARTUP_TIMEOUT_S = 60.0


@dataclass(slots=True)
class ExecutorHandle:
    """One process. `told`: when its attempts were told to stop; `timed_out`: those it is killed for."""

    process: SpawnProcess
    pipe: Connection
    attempt_table: AttemptTable
    worker_id: int
    incarnation: int
    report: Report | None = None
    silence: SilenceTimer = field(default_factory=SilenceTimer)
    interrupted_at: dict[AttemptKey, float] = field(default_factory=dict)
    timed_out: frozenset[AttemptKey] = frozenset()
    kill_kind: ExitKind | None = None
    is_fenced: bool = False
    is_stopping: bool = False

    def send(self, command: Command) -> None:
        """Say it, without ever waiting: what is frozen lets its pipe fill up, and others have to be looked after."""
        try:
            if not _has_room(self.pipe):
                self._handle_undeliverable(command)
                return
            self.pipe.send(command)
        except OSError:
            return  # it is dead, which its supervisor sees next
        if isinstance(command, Interrupt):
            self.interrupted_at.setdefault((command.task_id, command.attempt), time.monotonic())

    def set_fence(self, is_up: bool) -> None:
        if self.is_fenced != is_up:
            self.is_fenced = is_up
            self.send(SetFence(is_up))

    @property
    def is_idle(self) -> bool:
        """Whether it surely runs nothing."""
        is_fresh = self.report is not None and time.monotonic() - self.report.as_of < MAX_REPORT_AGE_S
        return self.report is not None and is_fresh and not self.report.running and not self.attempt_table.entries()

    def kill(self, kind: ExitKind, timed_out: Collection[AttemptKey] = ()) -> None:
        self.kill_kind = self.kill_kind or kind
        self.timed_out = frozenset(timed_out)
        self.process.kill()

    def read_reports(self) -> None:
        """Take in what it reported."""
        before = self.report
        try:
            while self.pipe.poll():
                self.report = self.pipe.recv()
        except (EOFError, OSError):
            return
        self.silence.observe(time.monotonic(), heard=self.report is not before)
        running = {(p.task_id, p.attempt) for p in self.attempt_table.entries()}
        self.interrupted_at = {attempt: at for attempt, at in self.interrupted_at.items() if attempt in running}

    def overdue_attempts(self, kill_after_s: float) -> tuple[set[AttemptKey], set[AttemptKey]]:
        """Attempts in its threads that should have stopped long ago: told to, and past their deadline."""
        before = time.monotonic() - kill_after_s
        posted = self.attempt_table.entries()
        told = {
            (p.task_id, p.attempt) for p in posted if self.interrupted_at.get((p.task_id, p.attempt), before) < before
        }
        late = {(p.task_id, p.attempt) for p in posted if p.deadline is not None and p.deadline < before}
        return told, late

    def is_unresponsive(self, lease_s: float) -> bool:
        """Whether it has been silent for so long that it will not come back: stopped, or a thread keeps the GIL."""
        return self.silence.elapsed_s > max(lease_s, STARTUP_TIMEOUT_S if self.report is None else MIN_SILENCE_S)

    @property
    def stuck_is_ambiguous(self) -> bool:
        """Whether one that has not stopped may be held up by another, which keeps all threads from running."""
        return self.silence.elapsed_s > MAX_REPORT_AGE_S and len(self.attempt_table.entries()) > 1

    def _handle_undeliverable(self, order: Command) -> None:
        """It does not listen. What is wanted of attempts is said again; without other orders it must not go on."""
        if not isinstance(order, Interrupt | RequestPause):
            log.error("executor.unresponsive", incarnation=self.incarnation, order=type(order).__name__)
            self.kill(ExitKind.UNRESPONSIVE)


def _has_room(pipe: Connection) -> bool:
    """Whether a small message can be sent now. An OSError, where nobody is there to get it, or so is sending."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))
