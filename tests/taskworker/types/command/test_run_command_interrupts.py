"""`run_command` in its own process, as a worker runs it: an interrupt ends it and all its children."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from uuid import uuid4

import pytest

from harness.processes import is_alive
from harness.waiting import eventually
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.plugins import load_plugins
from taskcore.plugins.context import NullServices
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import CommandSettings, Settings, WorkerSettings

POLITE = """
import os, signal, time
def end(*_):
    print("last words", flush=True)
    raise SystemExit
signal.signal(signal.SIGTERM, end)
print(os.getpid(), flush=True)
time.sleep(600)
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), os.fork(), flush=True)
time.sleep(600)
"""


class Lines(NullServices):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        self.lines.append(message)


class Desk:
    """An executor with one configured command."""

    def __init__(self, program: str) -> None:
        settings = Settings(
            commands={"it": CommandSettings(argv=(sys.executable, "-c", program))},
            worker=WorkerSettings(kill_after_s=60 if program == POLITE else 0.2),
        )
        self.services = Lines()
        self.executor = Executor(
            cast("Any", None),
            load_plugins(),
            settings,
            worker_id=1,
            incarnation=1,
            forkserver=ForkServer(settings),
            make_services=lambda claimed: self.services,
        )
        self.verdicts: list[AttemptResult] = []

    def begin(self) -> threading.Thread:
        thread = threading.Thread(target=self._perform)
        thread.start()
        return thread

    def _perform(self) -> None:
        parameters = {"command": "it"}
        claimed = ClaimedTask(Lease(1, 1, uuid4()), "t", "run_command", "default", parameters, 0, 4, time.monotonic())
        finished = self.executor.run(claimed)
        assert finished is not None
        self.verdicts.append(finished.result)


@pytest.fixture
def make_desk() -> Iterator[Callable[[str], Desk]]:
    desks: list[Desk] = []

    def make(program: str) -> Desk:
        desks.append(Desk(program))
        return desks[-1]

    yield make
    for desk in desks:
        desk.executor.close()


def test_interrupted_command_can_write_before_it_exits(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(POLITE)
    thread = desk.begin()
    eventually(lambda: desk.services.lines, poll_s=0.01)

    desk.executor.running.interrupt(1, 1, InterruptCause.CANCEL)
    thread.join(60)

    assert [verdict.outcome for verdict in desk.verdicts] == [AttemptOutcome.CANCELLED]
    assert desk.services.lines[1:] == ["last words"]


def test_command_that_ignores_sigterm_is_killed_with_its_children(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk(STUBBORN)
    thread = desk.begin()
    (line, *_) = eventually(lambda: desk.services.lines, poll_s=0.01)

    desk.executor.running.interrupt(1, 1, InterruptCause.TIMEOUT)
    thread.join(60)

    assert [verdict.outcome for verdict in desk.verdicts] == [AttemptOutcome.TIMED_OUT]
    eventually(lambda: not any(is_alive(int(pid)) for pid in line.split() if pid != "0"))
