"""Slots: a process claims no more than it has capacity for, and prefetches short tasks only."""

from __future__ import annotations

import time
from uuid import uuid4

import pytest

from harness.waiting import eventually
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.slots import Capacity, SlotPool
from taskcore.execution.type_durations import MIN_SAMPLES


def claimed(task_id: int, type_: str = "noop") -> ClaimedTask:
    return ClaimedTask(Lease(task_id, 1, uuid4()), "t", type_, "default", {}, 0, 4, time.monotonic())


def ignore() -> None:
    """Wake nothing."""


def reserve(slots: SlotPool, wanted: int, *, general_only: bool = False) -> Capacity:
    return slots.reserve(wanted, general_only=general_only, wake=ignore)


@pytest.fixture
def slots() -> SlotPool:
    return SlotPool(threads=2, prefetch_short=3)


def learn(slots: SlotPool, type_: str = "noop", ran_s: float = 0.001) -> None:
    for _ in range(MIN_SAMPLES):
        slots.durations.observe(type_, ran_s)


def test_capacity_is_a_slot_per_thread_and_more_for_short_tasks(slots: SlotPool) -> None:
    assert reserve(slots, 10) == Capacity(2, 3)
    assert reserve(slots, 10) == Capacity(0, 0)


def test_nothing_is_prefetched_while_a_long_task_runs(slots: SlotPool) -> None:
    slots.add_claimed(reserve(slots, 1), [claimed(1, "long")])

    assert reserve(slots, 10) == Capacity(1, 0)


def test_short_tasks_are_prefetched_while_short_tasks_run(slots: SlotPool) -> None:
    learn(slots)
    slots.add_claimed(reserve(slots, 2), [claimed(1), claimed(2)])

    assert reserve(slots, 10) == Capacity(0, 3)
    assert reserve(slots, 10, general_only=True) == Capacity(0, 0)


def test_slot_of_a_long_task_is_freed_when_its_result_is_stored(slots: SlotPool) -> None:
    woken: list[int] = []
    long = claimed(1, "long")
    slots.add_claimed(reserve(slots, 2), [long, claimed(2, "long")])
    assert not slots.reserve(1, general_only=False, wake=lambda: woken.append(1))

    slots.start(1)
    slots.finish(long)
    assert woken == []
    slots.release([long.lease])

    assert woken == [1]
    assert reserve(slots, 5).total == 1


def test_finished_short_task_is_held_without_a_slot_until_its_result_is_stored(slots: SlotPool) -> None:
    learn(slots)
    short = claimed(1)
    slots.add_claimed(reserve(slots, 2), [short])
    slots.start(1)

    slots.finish(short)

    assert slots.snapshot() == [short]
    assert reserve(slots, 10).total == 5
    slots.release([short.lease])
    assert slots.snapshot() == []


def test_late_end_of_an_attempt_leaves_the_next_attempt_held(slots: SlotPool) -> None:
    first = claimed(1, "long")
    second = first._replace(lease=Lease(1, 2, uuid4()))
    for one in (first, second):
        slots.add_claimed(reserve(slots, 1), [one])
        slots.start(1)

    slots.finish(first)
    slots.release([first.lease])

    assert slots.snapshot() == [second]


def test_close_returns_unstarted_tasks_and_keeps_started_ones(slots: SlotPool) -> None:
    started, unstarted = claimed(1), claimed(2)
    slots.add_claimed(reserve(slots, 2), [started, unstarted])
    assert slots.start(1) == started

    assert slots.close() == [unstarted]

    assert slots.start(2) is None
    assert slots.snapshot() == [started]
    assert reserve(slots, 1) == Capacity(0, 0)
    assert slots.next_for_idle_thread() is None


def test_tasks_claimed_during_close_are_returned(slots: SlotPool) -> None:
    capacity = reserve(slots, 1)
    slots.close()
    late = claimed(1)

    assert slots.add_claimed(capacity, [late]) == [late]


def test_ready_tasks_go_to_idle_threads_then_to_the_first_that_finishes(slots: SlotPool) -> None:
    learn(slots, "short", 0.01)
    first = claimed(1, "short")
    slots.add_claimed(reserve(slots, 2), [first, claimed(2, "short")])
    slots.add_claimed(reserve(slots, 1), [claimed(3, "short")])

    assigned = [slots.next_for_idle_thread() for _ in range(3)]
    assert [one and one.lease.task_id for one in assigned] == [1, 2, None]
    slots.start(1)
    slots.start(2)

    slots.finish(first)
    after = slots.next_task()
    assert after is not None
    assert after.lease.task_id == 3
    assert slots.next_task() is None


def test_very_short_tasks_stay_with_one_thread_while_it_makes_progress(slots: SlotPool) -> None:
    learn(slots)
    slots.add_claimed(reserve(slots, 3), [claimed(1), claimed(2), claimed(3)])

    assert slots.next_for_idle_thread() is not None

    assert slots.next_for_idle_thread() is None
    assert slots.has_ready()


def test_stuck_thread_does_not_hold_up_very_short_tasks(slots: SlotPool) -> None:
    learn(slots)
    slots.add_claimed(reserve(slots, 2), [claimed(1), claimed(2)])
    assert slots.next_for_idle_thread() is not None

    eventually(lambda: slots.next_for_idle_thread())


def test_removed_task_never_starts() -> None:
    slots = SlotPool(threads=2, prefetch_short=0)
    waiting, running = claimed(1), claimed(2)
    slots.add_claimed(reserve(slots, 2), [running, waiting])
    assert slots.next_for_idle_thread() == running
    slots.start(running.lease.task_id)

    assert slots.remove_unstarted(waiting.lease.task_id, 2) is None
    assert slots.remove_unstarted(waiting.lease.task_id, 1) == waiting
    assert slots.remove_unstarted(running.lease.task_id, 1) is None

    assert slots.start(waiting.lease.task_id) is None
    assert slots.snapshot() == [running]


def test_suspend_returns_unstarted_tasks_and_keeps_running_ones() -> None:
    slots = SlotPool(threads=2, prefetch_short=0)
    waiting, running = claimed(1), claimed(2)
    slots.add_claimed(reserve(slots, 2), [running, waiting])
    slots.next_for_idle_thread()
    slots.start(running.lease.task_id)

    assert slots.suspend() == [waiting]

    assert slots.snapshot() == [running]
    assert not reserve(slots, 1)
    slots.resume()
    assert reserve(slots, 1).general == 1


def test_next_task_is_the_one_claimed_first_in_any_queue(slots: SlotPool) -> None:
    earlier, later = claimed(1), claimed(2)._replace(queue="busy")
    slots.add_claimed(reserve(slots, 1), [earlier])
    slots.add_claimed(reserve(slots, 1), [later])

    assert [slots.next_task(), slots.next_task()] == [earlier, later]


def test_tasks_behind_a_run_that_is_no_longer_short_are_overdue(slots: SlotPool) -> None:
    learn(slots)
    running, waiting = claimed(1), claimed(2)._replace(claimed_at=time.monotonic() - 60)
    slots.add_claimed(reserve(slots, 2), [running, waiting])
    assert slots.next_for_idle_thread() == running
    slots.start(1)

    assert slots.take_overdue(5) == [waiting]

    assert slots.snapshot() == [running]
    assert not slots.durations.is_short("noop")
    assert slots.take_overdue(5) == []
