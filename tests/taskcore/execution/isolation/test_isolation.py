"""Attempts in processes of their own: whatever they do, there is a verdict, and nothing of them is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import psutil
import pytest

from harness.processes import is_alive
from harness.waiting import eventually
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult, Reason
from taskcore.domain.states import Status
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.errors import DatabaseUnavailable
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.execution.isolation.run_in_process import describe_exit
from taskcore.plugins.cancellation import InterruptCause
from taskcore.plugins.context import NullServices
from taskcore.settings import Settings
from tests.taskcore.execution.isolation.behaviours import load


@dataclass
class Notes(NullServices):
    """Services that remember, and are away once."""

    lines: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    is_away: bool = True

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        self.lines.append((level, message, fields))

    def progress(self, value: Any) -> None:
        self.told.append(value)

    def save_checkpoint(self, value: Any) -> None:
        if self.is_away:
            self.is_away = False
            raise DatabaseUnavailable
        self.told.append(value)

    def submit(self, task: Mapping[str, Any]) -> int:
        if task["type"] == "refused":
            raise ValueError("of no such type")
        self.told.append(task)
        return 12

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return {"id": task_id}


class House:
    """An executor without a database: attempts are handed to it, and it tells their verdicts."""

    def __init__(self, directory: Path, kill_after_s: float) -> None:
        settings = Settings(worker={"kill_after_s": kill_after_s})  # type: ignore[arg-type]
        self.notes = Notes()
        self.executor = Executor(
            cast("Any", None),
            load(),
            settings,
            worker_id=1,
            incarnation=1,
            forkserver=ForkServer(settings, load),
            make_services=lambda claimed: self.notes,
        )
        self._directory = directory
        self._ids = iter(range(1, 1_000))

    def begin(self, behaviour: str, **fields: Any) -> Begun:
        return Begun(self.executor, self.claimed(behaviour, **fields))

    def run(self, behaviour: str, **fields: Any) -> AttemptResult:
        return self.begin(behaviour, **fields).verdict()

    def claimed(self, behaviour: str, **fields: Any) -> ClaimedTask:
        task_id = next(self._ids)
        given: dict[str, Any] = {"name": "t", "type": "isolated", "queue": "default", "failures": 0, "max_attempts": 4}
        given["parameters"] = {"behaviour": behaviour, "file": str(self._directory / f"task {task_id}")}
        return ClaimedTask(Lease(task_id, 1, uuid4()), claimed_at=time.monotonic(), **{**given, **fields})


class Begun:
    """An attempt at work in a thread."""

    def __init__(self, executor: Executor, claimed: ClaimedTask) -> None:
        self._running = executor.running
        self._claimed = claimed
        self._verdicts: list[AttemptResult | None] = []
        self._thread = threading.Thread(target=self._perform, args=(executor,))
        self._thread.start()

    def pids(self) -> list[int]:
        """What it tells of, once it has."""
        text = eventually(lambda: self._file.exists() and self._file.read_text(), poll_s=0.01)
        return [int(word) for word in str(text).split()]

    def interrupt(self, cause: InterruptCause) -> None:
        assert self._running.interrupt(self._claimed.lease.task_id, 1, cause)

    def request_pause(self) -> None:
        assert self._running.request_pause(self._claimed.lease.task_id, 1)

    def outcome(self) -> AttemptResult | None:
        self._thread.join(60)
        (verdict,) = self._verdicts
        return verdict

    def verdict(self) -> AttemptResult:
        verdict = self.outcome()
        assert verdict is not None
        return verdict

    @property
    def _file(self) -> Path:
        return Path(self._claimed.parameters["file"])

    def _perform(self, executor: Executor) -> None:
        finished = executor.run(self._claimed)
        self._verdicts.append(None if finished is None else finished.result)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("behaviours"), kill_after_s=60)
    yield house
    house.executor.close()


@pytest.fixture
def house(shared: House) -> House:
    """One that is patient: what ends here, ends by itself."""
    shared.notes = Notes()
    return shared


MakeHouse = Callable[[float], House]


@pytest.fixture
def make_house(tmp_path: Path) -> Iterator[MakeHouse]:
    houses: list[House] = []

    def make(kill_after_s: float) -> House:
        houses.append(House(tmp_path, kill_after_s))
        return houses[-1]

    yield make
    for house in houses:
        house.executor.close()


def are_gone(pids: list[int]) -> bool:
    return not any(map(is_alive, pids))


def test_the_result_comes_from_another_process_each_time(house: House) -> None:
    verdicts = [house.run("answer", checkpoint={"page": 3}) for _ in range(2)]

    results = [str(verdict.result_json) for verdict in verdicts]
    assert {verdict.status for verdict in verdicts} == {Status.SUCCEEDED}
    assert results[0] != results[1]
    assert all('"checkpoint":{"page":3}' in result and str(os.getpid()) not in result for result in results)


def test_a_task_that_is_to_be_alone_is_so_whatever_its_type(house: House) -> None:
    beside, alone = (house.run("answer", type="in_thread", isolated=alone) for alone in (False, True))

    assert f'"pid":{os.getpid()}' in str(beside.result_json)
    assert f'"pid":{os.getpid()}' not in str(alone.result_json)


def test_its_services_are_those_of_the_executor(house: House) -> None:
    verdict = house.run("ask")

    assert verdict.result_json == '{"submitted":12,"got":{"id":12}}'
    assert house.notes.lines == [("warning", "a line", {"number": 1, "path": "PosixPath('/there')"})]
    submitted = {"name": "child", "type": "noop", "parameters": {}, "priority": 3, "idempotency_key": "mine"}
    assert house.notes.told == [{"done": 0.5}, {"page": 7}, submitted]


def test_what_a_service_refuses_is_raised_in_the_attempt(house: House) -> None:
    verdict = house.run("ask_in_vain")

    assert verdict.status == Status.RETRYING
    assert "of no such type" in str(verdict.error)


def test_all_lines_are_there_before_the_end(house: House) -> None:
    verdict = house.run("talk")

    assert verdict.result_json == '"talked"'
    assert [fields["number"] for _, _, fields in house.notes.lines] == list(range(5_000))


def test_parameters_that_do_not_fit_are_told(house: House) -> None:
    verdict = house.run("answer", parameters={"number": 1})

    assert verdict.reason == Reason.INVALID_PARAMETERS


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("exit_at_once", "its process exited with status 3"),
        ("break_memory", "its process was ended by signal 11 (SIGSEGV)"),
        ("eat_memory", "its process ran out of memory"),
    ],
)
def test_a_process_that_dies_is_a_crash_that_says_of_what(house: House, behaviour: str, error: str) -> None:
    first, last = house.run(behaviour), house.run(behaviour, crashes=2)

    assert (first.status, first.outcome, first.error) == (Status.QUEUED, AttemptOutcome.CRASHED, error)
    assert (last.status, last.reason) == (Status.FAILED, Reason.CRASH_LOOP)


def test_an_end_by_the_kernel_says_so() -> None:
    assert describe_exit(signal.SIGKILL) == (
        "its process was ended by signal 9 (SIGKILL), as the kernel does when memory is short"
    )


@pytest.mark.parametrize("cause", [InterruptCause.CANCEL, InterruptCause.TIMEOUT, InterruptCause.SHUTDOWN])
def test_who_sleeps_in_a_system_call_is_interrupted_and_can_keep_a_checkpoint(
    house: House, cause: InterruptCause
) -> None:
    house.notes.is_away = False
    begun = house.begin("sleep_and_clean_up", timeout_s=600)
    pids = begun.pids()
    begun.interrupt(cause)

    outcome = {
        InterruptCause.CANCEL: AttemptOutcome.CANCELLED,
        InterruptCause.TIMEOUT: AttemptOutcome.TIMED_OUT,
        InterruptCause.SHUTDOWN: AttemptOutcome.RELEASED,
    }
    assert begun.verdict().outcome == outcome[cause]
    assert house.notes.told == [{"interrupted_by": cause}]
    assert are_gone(pids)


def test_a_pause_is_seen_by_the_process(house: House) -> None:
    begun = house.begin("wait_for_pause")
    begun.pids()
    begun.request_pause()

    assert begun.verdict().outcome == AttemptOutcome.PAUSED


def test_a_signal_without_an_order_stops_nothing(house: House) -> None:
    assert house.run("ignore_what_is_not_meant").result_json == '"not meant"'


def test_a_group_that_ignores_the_signal_is_killed(make_house: MakeHouse) -> None:
    begun = make_house(0.2).begin("be_stubborn")
    pids = begun.pids()
    begun.interrupt(InterruptCause.CANCEL)

    assert begun.verdict().status == Status.CANCELLED
    eventually(lambda: are_gone(pids))


def test_a_lease_that_is_over_leaves_no_time(house: House) -> None:
    begun = house.begin("be_stubborn")
    pids = begun.pids()
    begun.interrupt(InterruptCause.FENCE)

    assert begun.outcome() is None
    eventually(lambda: are_gone(pids))


def test_a_loop_in_c_is_ended_by_its_timeout(make_house: MakeHouse) -> None:
    house = make_house(0.2)
    house.run("answer")
    begun = house.begin("compute_in_c", timeout_s=3, max_attempts=1)
    pids = begun.pids()

    assert begun.verdict().reason == Reason.TIMED_OUT
    assert are_gone(pids)


def test_children_that_are_left_die_though_they_hold_all_that_was_open(house: House) -> None:
    begun = house.begin("leave_a_child")

    assert begun.verdict().result_json == '"done"'
    eventually(lambda: are_gone(begun.pids()))


def test_what_is_interrupted_as_it_begins_ends_all_the_same(house: House) -> None:
    """Whatever it was at: made, starting, reading its parameters, running."""
    house.run("answer")
    for number in range(40):
        begun = house.begin("sleep")
        time.sleep(number / 2_000)
        eventually(partial(house.executor.running.interrupt_all, InterruptCause.CANCEL), poll_s=0.001)

        assert begun.verdict().status == Status.CANCELLED


def test_a_nursery_that_dies_costs_no_crash_and_is_replaced(make_house: MakeHouse) -> None:
    house = make_house(60)
    beside = house.begin("be_stubborn")
    pids = beside.pids()

    killer = house.run("kill_the_nursery")

    assert (killer.outcome, beside.verdict().outcome) == (AttemptOutcome.LOST, AttemptOutcome.LOST)
    eventually(lambda: are_gone(pids))
    assert house.run("answer").status == Status.SUCCEEDED


@pytest.mark.parametrize("kill", [os.kill, os.killpg])
def test_nothing_outlives_an_executor_that_is_killed(tmp_path: Path, kill: Callable[[int, int], None]) -> None:
    file = tmp_path / "pids"
    command = [sys.executable, "-m", "tests.taskcore.execution.isolation.isolated_executor", "be_stubborn", str(file)]
    executor = subprocess.Popen(command, process_group=0, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    pids = [int(word) for word in eventually(lambda: file.read_text() if file.exists() else "", poll_s=0.01).split()]
    nursery = psutil.Process(pids[0]).ppid()

    kill(executor.pid, signal.SIGKILL)
    executor.wait()

    eventually(lambda: are_gone([nursery, *pids]))


def test_at_the_end_of_the_service_nothing_is_left(make_house: MakeHouse) -> None:
    house = make_house(60)
    begun = house.begin("be_stubborn")
    pids = begun.pids()
    house.executor.running.interrupt_all(InterruptCause.SHUTDOWN)

    house.executor.close()

    assert begun.verdict().reason == Reason.WORKER_STOPPED
    eventually(lambda: are_gone(pids))
    assert house.run("answer").reason == Reason.WORKER_STOPPED
