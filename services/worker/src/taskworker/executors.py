"""The executor processes of a worker: started, given orders, heard, and buried."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

import structlog

from taskcore.leasing.deaths import Attempt, Death, Kind
from taskcore.settings import Settings
from taskworker import executor_process
from taskworker.board import Board
from taskworker.executor_process import Fence, Interrupt, Order, Report, Serve

log = structlog.stdlib.get_logger(__name__)

FRESH_S = 3.0


@dataclass(slots=True)
class Child:
    """One process. `told`: when its attempts were told to stop; `timed_out`: those it is killed for."""

    process: SpawnProcess
    pipe: Connection
    board: Board
    worker_id: int
    incarnation: int
    report: Report | None = None
    told: dict[Attempt, float] = field(default_factory=dict)
    timed_out: frozenset[Attempt] = frozenset()
    killed_as: Kind | None = None
    is_fenced: bool = False

    def order(self, order: Order) -> None:
        try:
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
        try:
            while self.pipe.poll():
                self.report = self.pipe.recv()
        except (EOFError, OSError):
            return
        running = {(p.task_id, p.attempt) for p in self.board.posted()}
        self.told = {attempt: at for attempt, at in self.told.items() if attempt in running}

    def stuck(self, kill_after_s: float) -> tuple[set[Attempt], set[Attempt]]:
        """Attempts in its threads that should have stopped long ago: told to, and past their deadline."""
        before = time.monotonic() - kill_after_s
        posted = self.board.posted()
        told = {(p.task_id, p.attempt) for p in posted if self.told.get((p.task_id, p.attempt), before) < before}
        late = {(p.task_id, p.attempt) for p in posted if p.deadline is not None and p.deadline < before}
        return told, late


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
    kind = child.killed_as or Kind.CRASHED
    say = log.info if kind is Kind.DRAINED else log.error
    say("executor.died", kind=kind, exit_code=child.process.exitcode, incarnation=child.incarnation)
    return Death(child.incarnation, kind, child.process.exitcode, ran, child.timed_out)
