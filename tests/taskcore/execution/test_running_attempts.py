"""What runs: it can be told to stop one by one or altogether, and its timeouts are kept."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.running_attempts import RunningAttempts
from taskcore.plugins.interrupts import InterruptCause, Interrupted


def claimed(task_id: int = 1, attempt: int = 1, **fields: Any) -> ClaimedTask:
    given: dict[str, Any] = {"name": "t", "type": "noop", "queue": "default", "parameters": {}, "failures": 0}
    return ClaimedTask(
        Lease(task_id, attempt, uuid4()), max_attempts=4, claimed_at=time.monotonic(), **{**given, **fields}
    )


class Notes:
    """A board that remembers."""

    def __init__(self) -> None:
        self.placed: list[tuple[int, bool, bool]] = []
        self.cleared: list[int] = []

    def place(self, claimed: ClaimedTask, deadline: float | None, in_process: bool) -> int:
        self.placed.append((claimed.lease.task_id, deadline is not None, in_process))
        return len(self.placed)

    def clear(self, slot: int) -> None:
        self.cleared.append(slot)


def test_a_timeout_interrupts_however_many_later_ones_there_are() -> None:
    running = RunningAttempts()
    later = [running.start(claimed(n, timeout_s=600)) for n in range(2, 5)]
    soon = running.start(claimed(1, timeout_s=0.05))

    with pytest.raises(Interrupted) as caught:
        soon.cancellation.wait(60)

    assert caught.value.cause is InterruptCause.TIMEOUT
    assert [one.cancellation.cause for one in later] == [None] * 3


def test_a_timeout_that_lies_nearer_than_the_one_waited_for_is_kept_too() -> None:
    running = RunningAttempts()
    for seconds in (0.15, 0.1, 0.05):
        attempt = running.start(claimed(timeout_s=seconds))

        with pytest.raises(Interrupted):
            attempt.cancellation.wait(60)


def test_an_attempt_without_a_timeout_goes_on() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed())

    assert attempt.cancellation.deadline is None


def test_the_clock_of_a_process_starts_when_there_is_one() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(timeout_s=0.05), own_process=True)
    attempt.cancellation.wait(0.2)

    running.start_timeout(attempt)

    with pytest.raises(Interrupted):
        attempt.cancellation.wait(60)


def test_only_the_attempt_that_is_meant_is_interrupted() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7, attempt=2))

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert not running.interrupt(8, 2, InterruptCause.CANCEL)
    assert running.interrupt(7, 2, InterruptCause.CANCEL)
    assert attempt.cancellation.cause is InterruptCause.CANCEL


def test_what_cannot_be_cancelled_can_still_be_stopped() -> None:
    running = RunningAttempts()
    running.start(claimed(7), can_cancel=False)

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert running.interrupt_all(InterruptCause.SHUTDOWN) == 1


def test_what_ended_is_neither_found_nor_waited_for() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7))
    running.end(attempt)

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert running.wait_until_none(0)


def test_a_later_attempt_outlives_the_end_of_an_earlier_one() -> None:
    running = RunningAttempts()
    earlier = running.start(claimed(7, attempt=1))
    later = running.start(claimed(7, attempt=2))
    running.end(earlier)

    assert running.attempts() == [later]


def test_a_pause_is_asked_for_without_interrupting() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7))

    assert running.request_pause(7, 1)
    assert attempt.cancellation.is_pause_requested
    assert attempt.cancellation.cause is None


def test_the_board_knows_what_runs_and_where() -> None:
    board = Notes()
    running = RunningAttempts(board)
    attempt = running.start(claimed(7, timeout_s=600))
    running.start(claimed(8), own_process=True)
    running.end(attempt)

    assert board.placed == [(7, True, False), (8, False, True)]
    assert board.cleared == [1]
