"""Measure Taskcore itself, for the built-in metrics.

Statements over a window take the parameters of `history_window.window_parameters`.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, func, select, text

from taskcore.db.analytics.history_window import JOIN_KNOWN, WITH_ENTRIES
from taskcore.db.models import Task

#: Whose durations are measured: six samples each.
MAX_TYPES = 1_500


@cache
def count_tasks() -> Executable:
    """(status, type, queue, number) of all tasks."""
    columns = Task.status, Task.type, Task.queue
    return select(*columns, func.count().label("number")).group_by(*columns)


@cache
def queue_depths() -> Executable:
    """Per queue: name, depth (due tasks that no worker has claimed) and oldest_age_s (since the oldest became due)."""
    return text("""
        SELECT queue.name, count(outbox.task_id) AS depth,
            extract(epoch FROM now() - min(outbox.available_at)) AS oldest_age_s
        FROM queue LEFT JOIN outbox ON outbox.queue = queue.name AND (outbox.is_due OR outbox.available_at <= now())
        GROUP BY queue.name
    """)


@cache
def worker_slots() -> Executable:
    """One row: workers, slots and in_use, of live workers."""
    return text("""
        WITH live AS (SELECT id, slots FROM worker WHERE seen_at + lease_s * interval '1 second' >= now())
        SELECT count(*) AS workers, coalesce(sum(slots), 0) AS slots,
            (SELECT count(*) FROM task WHERE status IN ('running', 'cancelling') AND worker_id IN (SELECT id FROM live))
            AS in_use
        FROM live
    """)


@cache
def throughput() -> Executable:
    """(type, queue, outcome, is_submitted, is_finished, number) of the submissions and ends in a window."""
    return text(f"""
        {WITH_ENTRIES}
        SELECT known.type, known.queue, entry.to_status AS outcome, entry.from_status IS NULL AS is_submitted,
            coalesce(entry.to_status IN ('succeeded', 'failed', 'cancelled'), false) AS is_finished,
            count(*) AS number
        FROM entry {JOIN_KNOWN}
        WHERE entry.to_status IS NOT NULL
            AND (entry.from_status IS NULL OR entry.to_status IN ('succeeded', 'failed', 'cancelled'))
        GROUP BY 1, 2, 3, 4, 5
    """)


@cache
def attempt_durations() -> Executable:
    """Per type, for the attempts that ended in a window: run_s and wait_s, each a list by the parameter `quantiles`.

    Of the `MAX_TYPES` types with most of these attempts.
    """
    return text(f"""
        {WITH_ENTRIES},
        ended AS (
            -- due_at: when the attempt could have started at the earliest, from the step before its claim.
            -- The attempts of a deleted task are deleted too: then the times of its history stand in for theirs.
            SELECT known.type, CASE step.to_status
                    WHEN 'queued' THEN step.at
                    WHEN 'retrying' THEN step.at + (step.details ->> 'retry_in_s')::float8 * interval '1 second'
                    WHEN 'scheduled' THEN task.run_at
                END AS due_at,
                coalesce(run.started_at, claim.at) AS started_at, coalesce(run.finished_at, entry.at) AS finished_at
            FROM entry {JOIN_KNOWN}
            LEFT JOIN task_attempt AS run ON run.task_id = entry.task_id AND run.attempt = entry.attempt
            CROSS JOIN LATERAL (
                SELECT id, at FROM task_history
                WHERE task_id = entry.task_id AND attempt = entry.attempt AND to_status = 'running'
                    AND from_status <> 'running'
                ORDER BY id DESC LIMIT 1
            ) AS claim
            LEFT JOIN LATERAL (
                SELECT to_status, at, details FROM task_history
                WHERE task_id = entry.task_id AND id < claim.id
                ORDER BY id DESC LIMIT 1
            ) AS step ON true
            WHERE entry.from_status IN ('running', 'cancelling') AND entry.to_status NOT IN ('running', 'cancelling')
        )
        SELECT type,
            percentile_cont(:quantiles) WITHIN GROUP (
                ORDER BY greatest(0, extract(epoch FROM finished_at - started_at))
            ) AS run_s,
            percentile_cont(:quantiles) WITHIN GROUP (
                ORDER BY greatest(0, extract(epoch FROM started_at - due_at))
            ) FILTER (WHERE due_at IS NOT NULL) AS wait_s
        FROM ended GROUP BY type ORDER BY count(*) DESC, type LIMIT {MAX_TYPES}
    """)


@cache
def store_submitters() -> Executable:
    """Store which users submitted tasks on which days, from the history in a window."""
    return text(WITH_ENTRIES + _store_submitters("entry"))


@cache
def store_earlier_submitters() -> Executable:
    """As `store_submitters`, from all history before `until_time`."""
    return text(_store_submitters("task_history"))


@cache
def submitters_of_day() -> Executable:
    """One row: submitters and newcomers of `that_day`."""
    return text("""
        SELECT count(*) AS submitters, count(*) FILTER (WHERE NOT EXISTS (
            SELECT 1 FROM submitter_day AS before WHERE before.submitter = today.submitter AND before.day < today.day
        )) AS newcomers
        FROM submitter_day AS today WHERE day = :that_day
    """)


def _store_submitters(table: str) -> str:
    return f"""
        INSERT INTO submitter_day (day, submitter)
        SELECT DISTINCT (at AT TIME ZONE 'UTC')::date, substr(actor, length('user:') + 1)
        FROM {table}
        WHERE from_status IS NULL AND to_status IS NOT NULL AND starts_with(actor, 'user:') AND at < :until_time
        ORDER BY 1, 2
        ON CONFLICT DO NOTHING
    """
