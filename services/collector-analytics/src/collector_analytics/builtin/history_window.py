"""The rows of the task history in a window of time, with the type and queue of their tasks.

The history has no index on time, which would make every transition slower. Its ids grow with time, except for the
duration of transactions. So the range of ids is found by bisecting the primary key, with that much slack on both sides.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from taskcore.db.analytics.samples import MAX_TRANSACTION_S
from taskcore.metrics import Window

SLACK = timedelta(seconds=MAX_TRANSACTION_S)


def _first_id(name: str, at: str) -> str:
    """A table of the steps of a search for the first row at or after the parameter `at`; see `_found`."""
    return f"""
    {name} (low, high) AS (
        SELECT min(id), max(id) + 1 FROM task_history
        UNION ALL
        SELECT CASE WHEN probe.at < :{at} THEN probe.id + 1 ELSE low END,
            CASE WHEN probe.at < :{at} THEN high ELSE (low + high) / 2 END
        FROM {name} CROSS JOIN LATERAL (
            SELECT id, at FROM task_history WHERE id >= (low + high) / 2 ORDER BY id LIMIT 1
        ) AS probe
        WHERE low < high
    )"""


def _found(name: str) -> str:
    return f"(SELECT low FROM {name} WHERE low >= high)"


#: Begins a statement: the table `happened`, all rows of the history in the window. Parameters: `parameters_of`.
HAPPENED = f"""
WITH RECURSIVE {_first_id("begin_at", "from_about")}, {_first_id("end_at", "until_about")},
    happened AS MATERIALIZED (
        SELECT * FROM task_history
        WHERE id >= {_found("begin_at")} AND id < {_found("end_at")} AND at >= :from_time AND at < :until_time
    )
"""

#: Joins `happened` to what the task was: `known`, with type and queue. Of one that was deleted its last row tells.
KNOWN = """
    LEFT JOIN task ON task.id = happened.task_id
    LEFT JOIN LATERAL (
        SELECT details FROM task_history AS last
        WHERE last.task_id = happened.task_id AND last.to_status IS NULL AND task.id IS NULL
        ORDER BY last.id DESC LIMIT 1
    ) AS deletion ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(task.type, deletion.details ->> 'type', '') AS type,
            coalesce(task.queue, deletion.details ->> 'queue', '') AS queue
    ) AS known
"""


def parameters_of(window: Window) -> dict[str, Any]:
    return {
        "from_time": window.start,
        "until_time": window.end,
        "from_about": window.start - SLACK,
        "until_about": window.end + SLACK,
    }
