"""The rows of the task history in a window of time, and the type and queue of their tasks: parts of statements.

The history has no index on time, which would make every transition slower. Its ids grow with time, except for the
duration of transactions. So the range of ids is found by bisecting the primary key, with that much slack on both sides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from taskcore.db.analytics.samples import MAX_TRANSACTION_S
from taskcore.domain.metrics import Window

SLACK = timedelta(seconds=MAX_TRANSACTION_S)


def _bisection(name: str, at: str) -> str:
    """Return a recursive CTE whose rows are the steps of a search for the first row at or after the parameter `at`.

    Each step looks at the row in the middle of [low, high) and continues in the half that has the wanted row. The last
    step has low >= high: see `_first_id`.
    """
    return f"""
    {name} (low, high) AS (
        SELECT min(id), max(id) + 1 FROM task_history
        UNION ALL
        SELECT CASE WHEN probe.at < :{at} THEN probe.id + 1 ELSE low END,
            CASE WHEN probe.at < :{at} THEN high ELSE (low + high) / 2 END
        FROM {name} CROSS JOIN LATERAL (
            SELECT id, at FROM task_history WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1  -- ids have gaps
        ) AS probe
        WHERE low < high
    )"""


def _first_id(name: str) -> str:
    return f"(SELECT low FROM {name} WHERE low >= high)"


#: The start of a statement: the table `entry`, all rows of the history in the window. Parameters: `window_parameters`.
WITH_ENTRIES = f"""
WITH RECURSIVE {_bisection("begin_at", "from_about")}, {_bisection("end_at", "until_about")},
    entry AS MATERIALIZED (
        SELECT * FROM task_history
        WHERE id >= {_first_id("begin_at")} AND id < {_first_id("end_at")} AND at >= :from_time AND at < :until_time
    )
"""

#: Joins `entry` to the table `known`: type and queue of its task. The row of a task's deletion keeps both.
JOIN_KNOWN = """
    LEFT JOIN task ON task.id = entry.task_id
    LEFT JOIN LATERAL (
        SELECT details FROM task_history AS last
        WHERE last.task_id = entry.task_id AND last.to_status IS NULL AND task.id IS NULL
        ORDER BY last.id DESC LIMIT 1
    ) AS deletion ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(task.type, deletion.details ->> 'type', '') AS type,
            coalesce(task.queue, deletion.details ->> 'queue', '') AS queue
    ) AS known
"""


def window_parameters(window: Window) -> dict[str, Any]:
    return {
        "from_time": window.start,
        "until_time": window.end,
        "from_about": window.start - SLACK,
        "until_about": window.end + SLACK,
    }
