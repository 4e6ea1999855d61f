"""Distribution of tasks: slots, several workers, priorities, types that a worker lacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

#: How many attempts a worker held at once at most: from its claims, and the ends of its runs, at which a slot is free.
MOST_HELD = """
WITH attempts AS (
    SELECT a.worker_id, h.at AS claimed_at, a.finished_at FROM task_attempt a
    JOIN task_history h ON h.task_id = a.task_id AND h.attempt = a.attempt AND h.to_status = 'running'
    WHERE a.task_id = ANY(%s)
), held AS (
    SELECT worker_id, sum(change) OVER (PARTITION BY worker_id ORDER BY at, change) AS held
    FROM attempts, LATERAL (VALUES (claimed_at, 1), (finished_at, -1)) AS moments (at, change)
)
SELECT worker_id, max(held)::int AS most FROM held GROUP BY worker_id
"""


@pytest.fixture(scope="module")
def system(make_system: MakeSystem) -> System:
    system = make_system()
    system.start(coordinators=2)
    system.register_types()
    return system


def finished(system: System, task_ids: Sequence[int]) -> list[int]:
    """Return how many tasks each worker has finished."""
    query = "SELECT count(*) FROM task_attempt WHERE task_id = ANY(%s) GROUP BY worker_id ORDER BY worker_id"
    return [row["count"] for row in system.sql(query, list(task_ids))]


def test_worker_claims_at_most_its_slots_and_a_late_worker_gets_its_share(system: System) -> None:
    with system.worker(processes=1, threads=8):
        task_ids = system.submit_many(400, "sleep", {"seconds": 0.4})
        eventually(lambda: sum(finished(system, task_ids)) >= 40)
        with system.worker(processes=1, threads=8):
            late = system.scalar("SELECT max(id) FROM worker")
            system.wait_for(task_ids)

    most = {row["worker_id"]: row["most"] for row in system.sql(MOST_HELD, task_ids)}
    assert len(most) == 2
    assert late in most
    assert max(most.values()) <= 8, most
    assert min(finished(system, task_ids)) >= 80
    system.assert_each_ran_once(task_ids)


def test_higher_priority_overtakes_a_backlog(system: System, gate: Path) -> None:
    slots = 4
    with system.worker(processes=1, threads=slots):
        busy = system.submit_many(slots, "gated", {"gate": str(gate)})
        system.wait_for(busy, "running")
        backlog = system.submit_many(5_000, "sleep", {"seconds": 0.01})
        sent = "SELECT count(*) FROM outbox WHERE dispatched_at IS NOT NULL"
        eventually(lambda: system.scalar(sent) >= 2 * slots)

        urgent = system.submit("noop", priority=50)
        gate.touch()
        system.wait_for([*busy, urgent, *backlog])

    order = "SELECT task_id FROM task_attempt WHERE task_id = ANY(%s) ORDER BY started_at"
    starts = [row["task_id"] for row in system.sql(order, [urgent, *backlog])]
    half_a_second_of_claims = 0.5 * slots / 0.01
    assert starts.index(urgent) <= 2 * half_a_second_of_claims  # one window per relay
    system.assert_each_ran_once([*busy, urgent, *backlog])


def test_oldest_of_equal_priority_starts_first(system: System, gate: Path) -> None:
    with system.worker(processes=1, threads=1):
        busy = system.submit("gated", {"gate": str(gate)})
        system.wait_for(busy, "running")
        task_ids = [system.submit("sleep", {"seconds": 0.06}) for _ in range(20)]

        gate.touch()
        system.wait_for(task_ids)

    order = system.sql("SELECT task_id FROM task_attempt WHERE task_id = ANY(%s) ORDER BY started_at", task_ids)
    started = [row["task_id"] for row in order]
    # Two relays publish concurrently: each may be ahead by one window, which is two tasks for one slot.
    displaced = [abs(started.index(task_id) - place) for place, task_id in enumerate(task_ids)]
    assert max(displaced) <= 4


def test_task_waits_for_a_worker_with_its_type(system: System, gate: Path) -> None:
    gate.touch()
    with system.worker(plugins=False, processes=1):
        task_ids = system.submit_many(4, "gated", {"gate": str(gate)})
        others = system.submit_many(20, "noop")
        eventually(lambda: system.scalar("SELECT count(*) FROM outbox WHERE is_parked") == len(task_ids))
        system.wait_for(others)
        assert system.sql("SELECT DISTINCT status, attempt FROM task WHERE id = ANY(%s)", task_ids) == [
            {"status": "queued", "attempt": 0}
        ]

        with system.worker(processes=1):
            having = system.scalar("SELECT max(id) FROM worker")
            system.wait_for(task_ids)

    assert system.sql("SELECT DISTINCT worker_id FROM task_attempt WHERE task_id = ANY(%s)", task_ids) == [
        {"worker_id": having}
    ]
    system.assert_each_ran_once(task_ids)
