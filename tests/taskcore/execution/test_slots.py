"""Slots: a process claims no more than it has room for, and look-ahead is for short tasks only."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from harness.waiting import eventually
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.slots import Capacity, SlotPool
from taskcore.execution.type_durations import MIN_SAMPLES, TypeDurations


def claimed(task_id: int, type_: str = "noop") -> ClaimedTask:
    return ClaimedTask(Lease(task_id, 1, uuid4()), "t", type_, "default", {}, 0, 4, time.monotonic())


def nobody() -> None:
    """Nobody waits."""


def reserve(holding: SlotPool, wanted: int, *, only_any: bool = False) -> Capacity:
    return holding.reserve(wanted, general_only=only_any, wake=nobody)


@pytest.fixture
def holding() -> SlotPool:
    return SlotPool(threads=2, prefetch_short=3)


def learn(holding: SlotPool, type_: str = "noop", ran_s: float = 0.001) -> None:
    for _ in range(MIN_SAMPLES):
        holding.durations.observe(type_, ran_s)


def test_there_is_room_for_as_many_as_there_are_threads_and_more_for_short_ones(holding: SlotPool) -> None:
    assert reserve(holding, 10) == Capacity(2, 3)
    assert reserve(holding, 10) == Capacity(0, 0)


def test_nothing_is_taken_ahead_behind_a_task_that_is_not_short(holding: SlotPool) -> None:
    holding.add_claimed(reserve(holding, 1), [claimed(1, "long")])

    assert reserve(holding, 10) == Capacity(1, 0)


def test_short_tasks_are_taken_ahead_behind_short_ones(holding: SlotPool) -> None:
    learn(holding)
    holding.add_claimed(reserve(holding, 2), [claimed(1), claimed(2)])

    assert reserve(holding, 10) == Capacity(0, 3)
    assert reserve(holding, 10, only_any=True) == Capacity(0, 0)


def test_one_long_run_makes_a_type_long_for_a_while() -> None:
    paces = TypeDurations()
    for _ in range(MIN_SAMPLES):
        paces.observe("noop", 0.001)
    assert paces.short_types() == ["noop"]

    paces.observe("noop", 0.5)
    assert paces.short_types() == []

    for _ in range(500):
        paces.observe("noop", 0.001)
    assert paces.short_types() == ["noop"]


def test_the_slot_of_a_long_task_is_free_again_when_its_end_is_written(holding: SlotPool) -> None:
    woken: list[int] = []
    long = claimed(1, "long")
    holding.add_claimed(reserve(holding, 2), [long, claimed(2, "long")])
    assert not holding.reserve(1, general_only=False, wake=lambda: woken.append(1))

    holding.start(1)
    holding.finish(long)
    assert woken == []
    holding.release([long.lease])

    assert woken == [1]
    assert reserve(holding, 5).total == 1


def test_a_short_task_that_has_ended_is_held_without_a_slot_until_its_end_is_written(holding: SlotPool) -> None:
    learn(holding)
    short = claimed(1)
    holding.add_claimed(reserve(holding, 2), [short])
    holding.start(1)

    holding.finish(short)

    assert holding.snapshot() == [short]
    assert reserve(holding, 10).total == 5
    holding.release([short.lease])
    assert holding.snapshot() == []


def test_the_late_end_of_an_attempt_leaves_the_next_one_held(holding: SlotPool) -> None:
    first = claimed(1, "long")
    second = first._replace(lease=Lease(1, 2, uuid4()))
    for one in (first, second):
        holding.add_claimed(reserve(holding, 1), [one])
        holding.start(1)

    holding.finish(first)
    holding.release([first.lease])

    assert holding.snapshot() == [second]


def test_a_closed_gate_gives_back_what_was_not_started_and_lets_the_rest_end(holding: SlotPool) -> None:
    started, unstarted = claimed(1), claimed(2)
    holding.add_claimed(reserve(holding, 2), [started, unstarted])
    assert holding.start(1) == started

    assert holding.close() == [unstarted]

    assert holding.start(2) is None
    assert holding.snapshot() == [started]
    assert reserve(holding, 1) == Capacity(0, 0)
    assert holding.next_for_idle_thread("default") is None


def test_what_is_claimed_while_the_gate_closes_is_given_back(holding: SlotPool) -> None:
    room = reserve(holding, 1)
    holding.close()
    late = claimed(1)

    assert holding.add_claimed(room, [late]) == [late]


def test_ready_tasks_go_to_idle_threads_and_then_to_whichever_is_done_first(holding: SlotPool) -> None:
    learn(holding, "short", 0.01)
    first = claimed(1, "short")
    holding.add_claimed(reserve(holding, 2), [first, claimed(2, "short")])
    holding.add_claimed(reserve(holding, 1), [claimed(3, "short")])

    called = [holding.next_for_idle_thread("default") for _ in range(3)]
    assert [one and one.lease.task_id for one in called] == [1, 2, None]
    holding.start(1)
    holding.start(2)

    holding.finish(first)
    after = holding.next_task()
    assert after is not None
    assert after.lease.task_id == 3
    assert holding.next_task() is None


def test_instant_tasks_are_left_to_one_thread_while_it_gets_on(holding: SlotPool) -> None:
    learn(holding)
    holding.add_claimed(reserve(holding, 3), [claimed(1), claimed(2), claimed(3)])

    assert holding.next_for_idle_thread("default") is not None

    assert holding.next_for_idle_thread("default") is None
    assert holding.has_ready("default")


def test_a_thread_that_is_stuck_in_an_instant_task_does_not_hold_up_the_others(holding: SlotPool) -> None:
    learn(holding)
    holding.add_claimed(reserve(holding, 2), [claimed(1), claimed(2)])
    assert holding.next_for_idle_thread("default") is not None

    eventually(lambda: holding.next_for_idle_thread("default"))


def test_a_withdrawn_task_never_starts() -> None:
    holding = SlotPool(threads=2, prefetch_short=0)
    waiting, running = claimed(1), claimed(2)
    holding.add_claimed(reserve(holding, 2), [running, waiting])
    assert holding.next_for_idle_thread("default") == running
    holding.start(running.lease.task_id)

    assert holding.remove_unstarted(waiting.lease.task_id, 2) is None
    assert holding.remove_unstarted(waiting.lease.task_id, 1) == waiting
    assert holding.remove_unstarted(running.lease.task_id, 1) is None

    assert holding.start(waiting.lease.task_id) is None
    assert holding.snapshot() == [running]


def test_a_suspended_process_begins_nothing_and_keeps_what_runs() -> None:
    holding = SlotPool(threads=2, prefetch_short=0)
    waiting, running = claimed(1), claimed(2)
    holding.add_claimed(reserve(holding, 2), [running, waiting])
    holding.next_for_idle_thread("default")
    holding.start(running.lease.task_id)

    holding.suspend()

    assert holding.snapshot() == [running]
    assert not reserve(holding, 1)
    holding.resume()
    assert reserve(holding, 1).general == 1


def test_of_two_queues_the_task_that_was_claimed_first_is_next(holding: SlotPool) -> None:
    earlier = claimed(1)
    later = [claimed(2)._replace(queue="busy", claimed_at=earlier.claimed_at + 1) for _ in range(2)]
    holding.add_claimed(reserve(holding, 2), [later[0], earlier])

    assert holding.next_task() == earlier


def test_what_waits_behind_a_run_that_is_not_short_any_more_is_for_others(holding: SlotPool) -> None:
    learn(holding)
    running, waiting = claimed(1), claimed(2)._replace(claimed_at=time.monotonic() - 60)
    holding.add_claimed(reserve(holding, 2), [running, waiting])
    assert holding.next_for_idle_thread("default") == running
    holding.start(1)

    assert holding.take_overdue(5) == [waiting]

    assert holding.snapshot() == [running]
    assert not holding.durations.is_short("noop")
    assert holding.take_overdue(5) == []
