"""Statements that look up rows by key read no others, although statistics date from when the tables were empty."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Engine, Executable

from taskcore.db.prepared import prepare
from taskcore.db.queues import lifecycle, loads, outbox, queues, unserved
from taskcore.db.tasks import actions, claims, settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.db.workers import leases
from taskcore.domain import outcomes
from taskcore.domain.tasks import FinishedAttempt, Lease
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

MANY = 500
FEW = 3


@pytest.fixture
def ids(db: DatabaseHarness) -> list[int]:
    """Return ids of tasks in tables that were analysed while they were empty."""
    db.register_worker()
    (first,) = db.submit(new_task())
    db.run_to_end(first)
    for table in ("task_attempt", "task_history", "outbox", "task"):
        db.sql(f"DELETE FROM {table}")
    db.sql("ANALYZE")
    return db.submit(*[new_task() for _ in range(MANY)])


def explain(engine: Engine, statement: Executable, **parameters: Any) -> dict[str, Any]:
    """Execute the statement, and return its plan and what it cost."""
    prepared = prepare(statement)
    pooled = engine.raw_connection()
    connection: psycopg.Connection[Any] = pooled.driver_connection  # type: ignore[assignment]
    asked = psycopg.RawCursor(connection).execute(
        b"EXPLAIN (ANALYZE, FORMAT JSON) " + prepared.sql, prepared.values(parameters)
    )
    ((answer,),) = asked.fetchall()
    pooled.close()
    explained: dict[str, Any] = answer[0]
    return explained


def most_read(engine: Engine, statement: Executable, **parameters: Any) -> int:
    """Execute the statement, and return how many rows the busiest node of its plan read from a table."""
    plan = explain(engine, statement, **parameters)["Plan"]
    return max(_rows_read(node) for node in _nodes(plan) if "Relation Name" in node)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from _nodes(inner)


def _rows_read(node: dict[str, Any]) -> int:
    removed = node.get("Rows Removed by Filter", 0)
    rows: float = (node["Actual Rows"] + removed) * node["Actual Loops"]
    return round(rows)


def test_a_claim_reads_what_it_claims(db: DatabaseHarness, ids: list[int]) -> None:
    few = {"ids": ids[:FEW], "short_ids": [], "types": ["noop"], "short_types": []}

    assert most_read(db.engine, claims.claim(), **few, token=uuid4(), worker=1, incarnation=1) == FEW


def test_a_settlement_reads_what_it_settles(db: DatabaseHarness, ids: list[int]) -> None:
    token = uuid4()
    leases = [Lease(row.id, row.attempt, token) for row in db.claim(ids[:FEW], token=token)]
    ends = [FinishedAttempt(lease, "noop", outcomes.succeeded(None), 0.0, 0.1) for lease in leases]

    assert most_read(db.engine, settlements.settle(), rows=result_rows(ends), by="me") == FEW


@pytest.mark.parametrize("dispatch", [outbox.dispatch(), outbox.dispatch_traced()])
def test_a_dispatch_reads_what_it_marks(db: DatabaseHarness, ids: list[int], dispatch: Executable) -> None:
    db.sql("UPDATE task SET attempt = 1, trace_context = 'x'")
    db.sql(
        "INSERT INTO task_attempt (task_id, attempt, worker_id, started_at, finished_at, outcome) "
        "SELECT id, 1, 1, now(), now(), 'failed' FROM task"
    )

    assert most_read(db.engine, dispatch, of="default", room=FEW, types=["noop"]) == FEW


@pytest.mark.parametrize("statement", [loads.queue_loads(), leases.workers_without_lock()])
def test_what_runs_all_the_time_is_not_compiled_each_time(db: DatabaseHarness, statement: Executable) -> None:
    """Before PostgreSQL 18, disabled plans count as expensive enough for it: a round of the relay took 165 ms."""
    assert "JIT" not in explain(db.engine, statement)


def test_parking_reads_each_row_once(db: DatabaseHarness, ids: list[int]) -> None:
    assert most_read(db.engine, unserved.park(), of="default", types=["other"]) == len(ids)


def test_unparking_reads_what_it_brings_back(db: DatabaseHarness, ids: list[int]) -> None:
    db.run(unserved.park(), of="default", types=["other"])

    assert most_read(db.engine, unserved.unpark(), of="default", types=["noop", "other"]) == len(ids)


def test_taking_messages_back_reads_each_row_once(db: DatabaseHarness, ids: list[int]) -> None:
    db.dispatch(MANY)

    assert most_read(db.engine, outbox.undispatch_lost(), of="default", ready=0, after_s=-60.0) == len(ids)


def test_giving_up_reads_each_task_once(db: DatabaseHarness, ids: list[int]) -> None:
    waited = {"types": ["noop"], "after_s": -60.0}

    assert most_read(db.engine, actions.lock_unknown_type(), after_id=0, **waited) == len(ids)
    assert most_read(db.engine, actions.fail_unknown_type(), ids=ids, after_s=-60.0) == len(ids)


def test_looking_for_unused_queues_reads_no_finished_task(db: DatabaseHarness, ids: list[int]) -> None:
    db.sql("UPDATE task SET status = 'succeeded'")
    db.sql("DELETE FROM outbox")
    db.sql("UPDATE queue SET used_at = now() - interval '1 day'")

    assert most_read(db.engine, lifecycle.find_uses(), of="default") <= 1
    assert most_read(db.engine, lifecycle.mark_unused(), after_s=60.0) == 1


def test_a_needed_queue_is_found_by_one_of_its_rows(db: DatabaseHarness, ids: list[int]) -> None:
    db.sql("UPDATE queue SET used_at = now() - interval '1 day'")

    assert most_read(db.engine, lifecycle.mark_unused(), after_s=60.0) == 1


def test_listing_queues_reads_the_outbox_once(db: DatabaseHarness, ids: list[int]) -> None:
    db.sql("INSERT INTO queue (name) VALUES ('one'), ('two'), ('three')")

    assert most_read(db.engine, queues.list_queues()) == len(ids)
