"""Tasks that wait for a worker that knows their type.

Rows whose type no live worker of their queue knows are *parked*, so that they are not in the way of others: nothing
looks at them until such a worker is there. In the end they are given up: `actions.fail_unknown_type`.
"""

from __future__ import annotations

from functools import cache

from sqlalchemy import CTE, Executable, Update, bindparam, func, literal_column, select, text, true, update

from taskcore.db.models import Outbox, TaskType, Worker
from taskcore.db.queues.outbox import is_undispatched
from taskcore.db.sql import const_bool, key_equals, seconds_param, texts_param
from taskcore.db.workers.workers import IS_LIVE

#: Rows that one statement parks or brings back.
BATCH = 5_000
#: Counting stops here, for each type.
COUNT_LIMIT = 100_000


@cache
def park() -> Executable:
    """Park those of the next `BATCH` rows of the queue `of` whose type is not one of `types`.

    Returns (type, count).
    """
    head = (
        select(Outbox.task_id, Outbox.type)
        .where(is_undispatched(), Outbox.queue == bindparam("of"))
        .order_by(Outbox.priority.desc(), Outbox.task_id)
        .limit(BATCH)
        .cte("head")
    )
    locked = (
        select(Outbox.task_id)
        .where(Outbox.task_id == head.c.task_id, is_undispatched())
        .limit(literal_column("1"))  # forces a lookup by key, where the planner would read the whole queue for each row
        .with_for_update(skip_locked=True)
        .lateral("locked")
    )
    is_unserved = head.c.type != func.all(texts_param("types"))
    unserved = select(locked.c.task_id).select_from(head.join(locked, true())).where(is_unserved).cte("unserved")
    parked = _set_parked(unserved, True).returning(Outbox.type).cte("parked")
    return select(parked.c.type, func.count().label("count")).group_by(parked.c.type)


@cache
def unpark() -> Executable:
    """Bring back up to `BATCH` parked rows of the queue `of` whose type is one of `types`. Returns their ids."""
    served = (
        select(Outbox.task_id)
        .where(Outbox.is_parked, Outbox.queue == bindparam("of"), Outbox.type == func.any(texts_param("types")))
        .limit(BATCH)
        .with_for_update(skip_locked=True)
        .cte("served")
    )
    return _set_parked(served, False).returning(Outbox.task_id)


@cache
def parked_counts() -> Executable:
    """(type, count) of the parked rows, each counted up to `COUNT_LIMIT`."""
    return text(f"""
        WITH RECURSIVE kind (queue, type) AS (
            (SELECT queue, type FROM outbox WHERE is_parked ORDER BY queue, type LIMIT 1)
            UNION ALL
            SELECT following.* FROM kind CROSS JOIN LATERAL (
                SELECT queue, type FROM outbox
                WHERE is_parked AND (queue, type) > (kind.queue, kind.type) ORDER BY queue, type LIMIT 1
            ) following
        )
        SELECT kind.type, sum(counted.count)::bigint AS count FROM kind CROSS JOIN LATERAL (
            SELECT count(*) FROM (
                SELECT 1 FROM outbox WHERE is_parked AND queue = kind.queue AND type = kind.type LIMIT {COUNT_LIMIT}
            ) rows_of_kind
        ) counted GROUP BY kind.type
    """)


@cache
def unserved_types() -> Executable:
    """The types of tasks, known or not, that no worker has served for `after_s` seconds. Costs a lookup for each type.

    `seen_at` is renewed only now and then: the type of a live worker counts as served, however old that is.
    """
    types = text("""
        WITH RECURSIVE kind (name) AS (
            SELECT min(type) FROM task
            UNION ALL
            SELECT (SELECT min(type) FROM task WHERE type > kind.name) FROM kind WHERE kind.name IS NOT NULL
        )
        SELECT name FROM kind WHERE name IS NOT NULL
    """).columns(TaskType.name)
    kind = types.subquery("kind")
    is_served = select(Worker.id).where(kind.c.name == func.any(Worker.types), IS_LIVE).exists()
    was_served = (
        select(TaskType.name)
        .where(TaskType.name == kind.c.name, TaskType.seen_at >= func.now() - seconds_param("after_s"))
        .exists()
    )
    return select(kind.c.name).where(~is_served, ~was_served)


def _set_parked(rows: CTE, is_parked: bool) -> Update:
    values = {"is_parked": const_bool(is_parked)}
    return update(Outbox).where(key_equals(Outbox.task_id, rows.c.task_id)).values(values)
