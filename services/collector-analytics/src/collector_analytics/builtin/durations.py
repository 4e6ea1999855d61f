"""How long attempts waited in their queue, and how long they ran."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text

from collector_analytics.builtin.history_window import HAPPENED, KNOWN, parameters_of
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

#: The attempts that ended. A deleted task took its attempts with it: then the times of its history have to do.
DURATIONS = text(f"""
{HAPPENED},
ended AS (
    SELECT known.type, CASE step.to_status
            WHEN 'queued' THEN step.at
            WHEN 'retrying' THEN step.at + (step.details ->> 'retry_in_s')::float8 * interval '1 second'
            WHEN 'scheduled' THEN task.run_at
        END AS due_at,
        coalesce(run.started_at, claim.at) AS started_at, coalesce(run.finished_at, happened.at) AS finished_at
    FROM happened {KNOWN}
    LEFT JOIN task_attempt AS run ON run.task_id = happened.task_id AND run.attempt = happened.attempt
    CROSS JOIN LATERAL (
        SELECT id, at FROM task_history AS entry
        WHERE entry.task_id = happened.task_id AND entry.attempt = happened.attempt AND entry.to_status = 'running'
        ORDER BY id DESC LIMIT 1
    ) AS claim
    LEFT JOIN LATERAL (
        SELECT to_status, at, details FROM task_history AS entry
        WHERE entry.task_id = happened.task_id AND entry.id < claim.id
        ORDER BY id DESC LIMIT 1
    ) AS step ON true
    WHERE happened.from_status IN ('running', 'cancelling') AND happened.to_status <> 'cancelling'
)
SELECT type,
    percentile_cont(:quantiles) WITHIN GROUP (ORDER BY greatest(0, extract(epoch FROM finished_at - started_at)))
        AS run_s,
    percentile_cont(:quantiles) WITHIN GROUP (ORDER BY greatest(0, extract(epoch FROM started_at - due_at)))
        FILTER (WHERE due_at IS NOT NULL) AS wait_s
FROM ended GROUP BY type
""")


class Durations(MetricSource):
    """Percentiles of the attempts that finished in a window."""

    name = "durations"
    is_windowed = True

    def describe(self) -> Iterable[Metric]:
        return [
            Metric("queue_wait_seconds", "Time from an attempt being due to its start: p50, p95, p99", "seconds"),
            Metric("run_seconds", "Duration of an attempt: p50, p95, p99", "seconds"),
        ]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        parameters = {**parameters_of(ctx.window), "quantiles": list(QUANTILES.values())}
        for row in ctx.database.execute(DURATIONS, parameters):
            for metric, values in (("queue_wait_seconds", row.wait_s), ("run_seconds", row.run_s)):
                for quantile, value in zip(QUANTILES, values or (), strict=False):
                    yield Sample(metric, value, {"type": row.type, "quantile": quantile})
