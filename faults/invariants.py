"""The invariants, checked against the database, the clients' responses and the journal of actual runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from faults.load.generator import accepted_ids
from faults.load.submissions import Submission
from faults.observers.feed_reader import FeedReader
from faults.system.system import SupervisedSystem

FINAL_STATUSES = "('succeeded', 'failed', 'cancelled')"

#: Each query returns the ids of the tasks that violate the rule.
RULES = {
    "two leases at the same time": """
        SELECT DISTINCT a.task_id FROM task_attempt a JOIN task_attempt b USING (task_id)
        WHERE b.attempt > a.attempt AND b.started_at < a.finished_at
    """,
    "an unrequested change of a final status": f"""
        SELECT DISTINCT task_id FROM task_history
        WHERE from_status IN {FINAL_STATUSES} AND to_status IS NOT NULL AND actor ~ '^(worker|coordinator)'
    """,
    "a gap in the history": """
        SELECT DISTINCT task_id FROM (
            SELECT task_id, from_status, lag(to_status) OVER (PARTITION BY task_id ORDER BY id) AS before
            FROM task_history
        ) steps WHERE from_status IS DISTINCT FROM before
    """,
    "a history that ends in another status than its task": """
        SELECT id FROM task t WHERE status IS DISTINCT FROM
            (SELECT to_status FROM task_history h WHERE h.task_id = t.id ORDER BY h.id DESC LIMIT 1)
    """,
    "attempts without a row": """
        SELECT id FROM task t
        WHERE attempt <> (SELECT count(*) FROM task_attempt a WHERE a.task_id = t.id)
           OR attempt <> (SELECT count(*) FROM task_history h WHERE h.task_id = t.id
                                AND to_status = 'running' AND from_status <> 'running')
    """,
    "failures that do not match the attempts": """
        SELECT id FROM task t WHERE failures <> (
            SELECT count(*) FROM task_attempt a WHERE a.task_id = t.id AND outcome IN ('failed', 'timed_out')
        ) AND NOT EXISTS (SELECT FROM task_history h WHERE h.task_id = t.id AND from_status IN ('failed', 'cancelled'))
    """,
    "more failures than the retry policy allows": "SELECT id FROM task WHERE failures > max_attempts",
    "cancelled without a request": """
        SELECT id FROM task t WHERE status = 'cancelled' AND NOT EXISTS (
            SELECT FROM task_history h
            WHERE h.task_id = t.id AND actor !~ '^(worker|coordinator)' AND to_status IN ('cancelling', 'cancelled')
        )
    """,
    "an outbox row of a finished task": f"""
        SELECT id FROM task JOIN outbox ON task_id = id WHERE status IN {FINAL_STATUSES}
    """,
}

RERUNS = """
    SELECT outcome, count(*) FROM task_attempt a
    WHERE outcome NOT IN ('succeeded', 'failed', 'timed_out')
      AND EXISTS (SELECT FROM task_attempt b WHERE b.task_id = a.task_id AND b.attempt > a.attempt)
    GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Findings:
    """`violations`: one sentence per violated invariant. `reruns`: repeated attempts, by the outcome of the first."""

    accepted: int
    lost: int
    reruns: dict[str, int]
    violations: list[str] = field(default_factory=list)


def check_invariants(
    system: SupervisedSystem, submissions: Sequence[Submission], feed_reader: FeedReader, *, may_overlap: bool = False
) -> Findings:
    """Check all invariants once no task is open. `may_overlap` allows runs of one task to overlap after a freeze."""
    ids = accepted_ids(submissions)
    present = {row["id"] for row in system.sql("SELECT id FROM task WHERE id = ANY(%s)", ids)}
    lost = len(set(ids) - present)
    broken = [
        message
        for message in (*_violations(system, submissions, ids, lost, may_overlap), _missed_rows(feed_reader))
        if message
    ]
    return Findings(len(ids), lost, _reruns(system), broken)


def _violations(
    system: SupervisedSystem, submissions: Sequence[Submission], ids: Sequence[int], lost: int, may_overlap: bool
) -> list[str]:
    return [
        f"{lost} accepted tasks are not in the database" if lost else "",
        f"{len(ids) - len(set(ids))} ids were returned twice" if len(ids) != len(set(ids)) else "",
        _still_open(system),
        _rejections(submissions),
        _count_mismatch(system),
        *(_rule(system, name, query) for name, query in RULES.items()),
        "" if may_overlap else _overlaps(system),
    ]


def _still_open(system: SupervisedSystem) -> str:
    rows = system.sql(f"SELECT status, count(*), min(id) FROM task WHERE status NOT IN {FINAL_STATUSES} GROUP BY 1")
    return f"still open: {[tuple(row.values()) for row in rows]}" if rows else ""


def _rejections(submissions: Sequence[Submission]) -> str:
    """A rejection is a violation, because the load submits only valid tasks."""
    refused = [submission for submission in submissions if submission.rejection]
    return f"{len(refused)} submissions were rejected: {refused[0].rejection}" if refused else ""


def _count_mismatch(system: SupervisedSystem) -> str:
    counts: Callable[[], dict[str, int]] = lambda: system.api.get("/tasks/status").json()  # noqa: E731
    reported = {status: count for status, count in counts().items() if count and status != "total"}
    counted = {row["status"]: row["count"] for row in system.sql("SELECT status, count(*) FROM task GROUP BY 1")}
    return "" if reported == counted else f"the API counts {reported}, SQL {counted}"


def _rule(system: SupervisedSystem, name: str, query: str) -> str:
    ids = [next(iter(row.values())) for row in system.sql(query)]
    return f"{name}: {len(ids)} tasks, such as {ids[:3]}" if ids else ""


def _missed_rows(feed_reader: FeedReader) -> str:
    missed = feed_reader.missed_rows()
    return f"a history reader that resumed from its cursor missed {missed} rows" if missed else ""


def _overlaps(system: SupervisedSystem) -> str:
    pairs = system.journal.overlaps()
    return f"{len(pairs)} runs overlap, such as {pairs[0]}" if pairs else ""


def _reruns(system: SupervisedSystem) -> dict[str, int]:
    return {row["outcome"]: row["count"] for row in system.sql(RERUNS)}
