"""Running attempts: they can be interrupted one by one or all at once, and their timeouts are kept."""

from __future__ import annotations

import time
from typing import Any
from uuid import uuid4

import pytest

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.running_attempts import RunningAttempts
from taskcore.plugins.interrupts import InterruptCause, Interrupted


def claimed(task_id: int = 1, attempt: int = 1, **fields: Any) -> ClaimedTask:
    defaults: dict[str, Any] = {"name": "t", "type": "noop", "queue": "default", "parameters": {}, "failures": 0}
    return ClaimedTask(
        Lease(task_id, attempt, uuid4()), max_attempts=4, claimed_at=time.monotonic(), **{**defaults, **fields}
    )


class RecordingTable:
    """An attempt table that records calls."""

    def __init__(self) -> None:
        self.placed: list[tuple[int, bool, bool]] = []
        self.cleared: list[int] = []

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        self.placed.append((claimed.lease.task_id, deadline is not None, own_process))
        return len(self.placed)

    def clear(self, slot: int) -> None:
        self.cleared.append(slot)


def test_earliest_timeout_interrupts_among_later_ones() -> None:
    running = RunningAttempts()
    later = [running.start(claimed(n, timeout_s=600)) for n in range(2, 5)]
    earliest = running.start(claimed(1, timeout_s=0.05))

    with pytest.raises(Interrupted) as caught:
        earliest.cancellation.wait(60)

    assert caught.value.cause is InterruptCause.TIMEOUT
    assert [one.cancellation.cause for one in later] == [None] * 3


def test_timeout_earlier_than_the_awaited_one_is_kept() -> None:
    running = RunningAttempts()
    for seconds in (0.15, 0.1, 0.05):
        attempt = running.start(claimed(timeout_s=seconds))

        with pytest.raises(Interrupted):
            attempt.cancellation.wait(60)


def test_attempt_without_a_timeout_has_no_deadline() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed())

    assert attempt.cancellation.deadline is None


def test_timeout_of_an_own_process_starts_on_request() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(timeout_s=0.05), own_process=True)
    attempt.cancellation.wait(0.2)

    running.start_timeout(attempt)

    with pytest.raises(Interrupted):
        attempt.cancellation.wait(60)


def test_interrupt_hits_exactly_the_defaults_attempt() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7, attempt=2))

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert not running.interrupt(8, 2, InterruptCause.CANCEL)
    assert running.interrupt(7, 2, InterruptCause.CANCEL)
    assert attempt.cancellation.cause is InterruptCause.CANCEL


def test_attempt_that_cannot_be_cancelled_can_be_shut_down() -> None:
    running = RunningAttempts()
    running.start(claimed(7), can_cancel=False)

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert running.interrupt_all(InterruptCause.SHUTDOWN) == 1


def test_ended_attempt_is_forgotten() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7))
    running.end(attempt)

    assert not running.interrupt(7, 1, InterruptCause.CANCEL)
    assert running.wait_until_none(0)


def test_end_of_an_earlier_attempt_keeps_the_later_one() -> None:
    running = RunningAttempts()
    earlier = running.start(claimed(7, attempt=1))
    later = running.start(claimed(7, attempt=2))
    running.end(earlier)

    assert running.attempts() == [later]


def test_pause_request_does_not_interrupt() -> None:
    running = RunningAttempts()
    attempt = running.start(claimed(7))

    assert running.request_pause(7, 1)
    assert attempt.cancellation.is_pause_requested
    assert attempt.cancellation.cause is None


def test_table_shows_what_runs_and_where() -> None:
    table = RecordingTable()
    running = RunningAttempts(table)
    attempt = running.start(claimed(7, timeout_s=600))
    running.start(claimed(8), own_process=True)
    running.end(attempt)

    assert table.placed == [(7, True, False), (8, False, True)]
    assert table.cleared == [1]
