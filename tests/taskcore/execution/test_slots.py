"""Slots: a process claims no more than it has room for, and look-ahead is for short tasks only."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from harness.waiting import eventually
from taskcore.domain.tasks import Claimed, Lease
from taskcore.execution.slots import RUNS_TO_TRUST, Holding, Paces, Room


def claimed(task_id: int, type_: str = "noop") -> Claimed:
    return Claimed(Lease(task_id, 1, uuid4()), "t", type_, "default", {}, 0, 4, time.monotonic())


def nobody() -> None:
    """Nobody waits."""


def reserve(holding: Holding, wanted: int, *, only_any: bool = False) -> Room:
    return holding.reserve(wanted, only_any=only_any, wake=nobody)


@pytest.fixture
def holding() -> Holding:
    return Holding(threads=2, look_ahead=3)


def learn(holding: Holding, type_: str = "noop", ran_s: float = 0.001) -> None:
    for _ in range(RUNS_TO_TRUST):
        holding.paces.observe(type_, ran_s)


def test_there_is_room_for_as_many_as_there_are_threads_and_more_for_short_ones(holding: Holding) -> None:
    assert reserve(holding, 10) == Room(2, 3)
    assert reserve(holding, 10) == Room(0, 0)


def test_nothing_is_taken_ahead_behind_a_task_that_is_not_short(holding: Holding) -> None:
    holding.admit(reserve(holding, 1), [claimed(1, "long")])

    assert reserve(holding, 10) == Room(1, 0)


def test_short_tasks_are_taken_ahead_behind_short_ones(holding: Holding) -> None:
    learn(holding)
    holding.admit(reserve(holding, 2), [claimed(1), claimed(2)])

    assert reserve(holding, 10) == Room(0, 3)
    assert reserve(holding, 10, only_any=True) == Room(0, 0)


def test_one_long_run_makes_a_type_long_for_a_while() -> None:
    paces = Paces()
    for _ in range(RUNS_TO_TRUST):
        paces.observe("noop", 0.001)
    assert paces.short_types() == ["noop"]

    paces.observe("noop", 0.5)
    assert paces.short_types() == []

    for _ in range(500):
        paces.observe("noop", 0.001)
    assert paces.short_types() == ["noop"]


def test_the_slot_of_a_long_task_is_free_again_when_its_end_is_written(holding: Holding) -> None:
    woken: list[int] = []
    long = claimed(1, "long")
    holding.admit(reserve(holding, 2), [long, claimed(2, "long")])
    assert not holding.reserve(1, only_any=False, wake=lambda: woken.append(1))

    holding.start(1)
    holding.end(long)
    assert woken == []
    holding.settled([long.lease])

    assert woken == [1]
    assert reserve(holding, 5).total == 1


def test_a_short_task_that_has_ended_is_held_without_a_slot_until_its_end_is_written(holding: Holding) -> None:
    learn(holding)
    short = claimed(1)
    holding.admit(reserve(holding, 2), [short])
    holding.start(1)

    holding.end(short)

    assert holding.held() == [short]
    assert reserve(holding, 10).total == 5
    holding.settled([short.lease])
    assert holding.held() == []


def test_the_late_end_of_an_attempt_leaves_the_next_one_held(holding: Holding) -> None:
    first = claimed(1, "long")
    second = first._replace(lease=Lease(1, 2, uuid4()))
    for one in (first, second):
        holding.admit(reserve(holding, 1), [one])
        holding.start(1)

    holding.end(first)
    holding.settled([first.lease])

    assert holding.held() == [second]


def test_a_closed_gate_gives_back_what_was_not_started_and_lets_the_rest_end(holding: Holding) -> None:
    started, unstarted = claimed(1), claimed(2)
    holding.admit(reserve(holding, 2), [started, unstarted])
    assert holding.start(1) == started

    assert holding.close() == [unstarted]

    assert holding.start(2) is None
    assert holding.held() == [started]
    assert reserve(holding, 1) == Room(0, 0)
    assert holding.call_thread("default") is None


def test_what_is_claimed_while_the_gate_closes_is_given_back(holding: Holding) -> None:
    room = reserve(holding, 1)
    holding.close()
    late = claimed(1)

    assert holding.admit(room, [late]) == [late]


def test_ready_tasks_go_to_idle_threads_and_then_to_whichever_is_done_first(holding: Holding) -> None:
    learn(holding, "short", 0.01)
    first = claimed(1, "short")
    holding.admit(reserve(holding, 2), [first, claimed(2, "short")])
    holding.admit(reserve(holding, 1), [claimed(3, "short")])

    called = [holding.call_thread("default") for _ in range(3)]
    assert [one and one.lease.task_id for one in called] == [1, 2, None]
    holding.start(1)
    holding.start(2)

    holding.end(first)
    after = holding.start_next()
    assert after is not None
    assert after.lease.task_id == 3
    assert holding.start_next() is None


def test_instant_tasks_are_left_to_one_thread_while_it_gets_on(holding: Holding) -> None:
    learn(holding)
    holding.admit(reserve(holding, 3), [claimed(1), claimed(2), claimed(3)])

    assert holding.call_thread("default") is not None

    assert holding.call_thread("default") is None
    assert holding.has_ready("default")


def test_a_thread_that_is_stuck_in_an_instant_task_does_not_hold_up_the_others(holding: Holding) -> None:
    learn(holding)
    holding.admit(reserve(holding, 2), [claimed(1), claimed(2)])
    assert holding.call_thread("default") is not None

    eventually(lambda: holding.call_thread("default"))


def test_a_withdrawn_task_never_starts() -> None:
    holding = Holding(threads=2, look_ahead=0)
    waiting, running = claimed(1), claimed(2)
    holding.admit(reserve(holding, 2), [running, waiting])
    assert holding.call_thread("default") == running
    holding.start(running.lease.task_id)

    assert holding.withdraw(waiting.lease.task_id, 2) is None
    assert holding.withdraw(waiting.lease.task_id, 1) == waiting
    assert holding.withdraw(running.lease.task_id, 1) is None

    assert holding.start(waiting.lease.task_id) is None
    assert holding.held() == [running]


def test_a_suspended_process_begins_nothing_and_keeps_what_runs() -> None:
    holding = Holding(threads=2, look_ahead=0)
    waiting, running = claimed(1), claimed(2)
    holding.admit(reserve(holding, 2), [running, waiting])
    holding.call_thread("default")
    holding.start(running.lease.task_id)

    holding.suspend()

    assert holding.held() == [running]
    assert not reserve(holding, 1)
    holding.resume()
    assert reserve(holding, 1).any == 1


def test_of_two_queues_the_task_that_was_claimed_first_is_next(holding: Holding) -> None:
    earlier = claimed(1)
    later = [claimed(2)._replace(queue="busy", claimed_at=earlier.claimed_at + 1) for _ in range(2)]
    holding.admit(reserve(holding, 2), [later[0], earlier])

    assert holding.start_next() == earlier


def test_what_waits_behind_a_run_that_is_not_short_any_more_is_for_others(holding: Holding) -> None:
    learn(holding)
    running, waiting = claimed(1), claimed(2)._replace(claimed_at=time.monotonic() - 60)
    holding.admit(reserve(holding, 2), [running, waiting])
    assert holding.call_thread("default") == running
    holding.start(1)

    assert holding.overdue(5) == [waiting]

    assert holding.held() == [running]
    assert not holding.paces.is_short("noop")
    assert holding.overdue(5) == []
