"""One executor process, as its supervisor sees it: what it is told, what it says, and when it should have stopped."""

from __future__ import annotations

import select
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

import structlog

from taskcore.leasing.executor_exits import Attempt, Kind
from taskworker.supervisor.attempt_table import Board
from taskworker.supervisor.executor_process import AskPause, Fence, Interrupt, Order, Report
from taskworker.supervisor.silence import Silence

log = structlog.stdlib.get_logger(__name__)

FRESH_S = 3.0
#: A process that says nothing for this long may only be slow, however short the lease is.
SLOW_S = 10.0
#: How long it may take to start: to import the plugins, and to say something for the first time.
START_S = 60.0


@dataclass(slots=True)
class Child:
    """One process. `told`: when its attempts were told to stop; `timed_out`: those it is killed for."""

    process: SpawnProcess
    pipe: Connection
    board: Board
    worker_id: int
    incarnation: int
    report: Report | None = None
    silence: Silence = field(default_factory=Silence)
    told: dict[Attempt, float] = field(default_factory=dict)
    timed_out: frozenset[Attempt] = frozenset()
    killed_as: Kind | None = None
    is_fenced: bool = False
    is_stopping: bool = False

    def order(self, order: Order) -> None:
        """Say it, without ever waiting: what is frozen lets its pipe fill up, and others have to be looked after."""
        try:
            if not _takes_more(self.pipe):
                self._give_up(order)
                return
            self.pipe.send(order)
        except OSError:
            return  # it is dead, which its supervisor sees next
        if isinstance(order, Interrupt):
            self.told.setdefault((order.task_id, order.attempt), time.monotonic())

    def fence(self, is_up: bool) -> None:
        if self.is_fenced != is_up:
            self.is_fenced = is_up
            self.order(Fence(is_up))

    @property
    def is_idle(self) -> bool:
        """Whether it surely runs nothing."""
        is_fresh = self.report is not None and time.monotonic() - self.report.as_of < FRESH_S
        return self.report is not None and is_fresh and not self.report.running and not self.board.posted()

    def kill(self, kind: Kind, timed_out: Collection[Attempt] = ()) -> None:
        self.killed_as = self.killed_as or kind
        self.timed_out = frozenset(timed_out)
        self.process.kill()

    def hear(self) -> None:
        """Take in what it reported."""
        before = self.report
        try:
            while self.pipe.poll():
                self.report = self.pipe.recv()
        except (EOFError, OSError):
            return
        self.silence.listen(time.monotonic(), is_broken=self.report is not before)
        running = {(p.task_id, p.attempt) for p in self.board.posted()}
        self.told = {attempt: at for attempt, at in self.told.items() if attempt in running}

    def stuck(self, kill_after_s: float) -> tuple[set[Attempt], set[Attempt]]:
        """Attempts in its threads that should have stopped long ago: told to, and past their deadline."""
        before = time.monotonic() - kill_after_s
        posted = self.board.posted()
        told = {(p.task_id, p.attempt) for p in posted if self.told.get((p.task_id, p.attempt), before) < before}
        late = {(p.task_id, p.attempt) for p in posted if p.deadline is not None and p.deadline < before}
        return told, late

    def is_frozen(self, lease_s: float) -> bool:
        """Whether it has been silent for so long that it will not come back: stopped, or a thread keeps the GIL."""
        return self.silence.lasted_s > max(lease_s, START_S if self.report is None else SLOW_S)

    @property
    def hides_who_is_stuck(self) -> bool:
        """Whether one that has not stopped may be held up by another, which keeps all threads from running."""
        return self.silence.lasted_s > FRESH_S and len(self.board.posted()) > 1

    def _give_up(self, order: Order) -> None:
        """It does not listen. What is wanted of attempts is said again; without other orders it must not go on."""
        if not isinstance(order, Interrupt | AskPause):
            log.error("executor.deaf", incarnation=self.incarnation, order=type(order).__name__)
            self.kill(Kind.FROZEN)


def _takes_more(pipe: Connection) -> bool:
    """Whether a small message can be sent now. An OSError, where nobody is there to get it, or so is sending."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return bool(poll.poll(0))
