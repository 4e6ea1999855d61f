"""Workers and the task types they bring: which workers are alive, and what they can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from sqlalchemy import Executable, Text, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Task, TaskType, Worker
from taskcore.db.sql import bigint_param, interval, status_in, texts_param
from taskcore.domain.states import HELD

IS_LIVE = Worker.seen_at + interval(Worker.lease_s) >= func.now()


@dataclass(frozen=True, slots=True)
class RegisteredType:
    """A task type as a worker has registered it. `schema` is the JSON Schema of its parameters."""

    name: str
    queue: str
    schema: dict[str, Any]
    max_attempts: int
    timeout_s: float | None
    can_cancel: bool
    can_pause: bool

    @classmethod
    def from_row(cls, row: Any) -> RegisteredType:
        """Convert a row of `get_type`."""
        return cls(**{field.name: getattr(row, field.name) for field in fields(cls)})


def register_worker(
    *, host: str, pid: int, slots: int, queues: Sequence[str], types: Sequence[str], lease_s: float
) -> Executable:
    """Insert the worker. Returns its id."""
    return (
        insert(Worker)
        .values(host=host, pid=pid, slots=slots, queues=list(queues), types=list(types), lease_s=lease_s)
        .returning(Worker.id)
    )


def register_types(types: Sequence[dict[str, Any]]) -> Executable:
    """Insert or update `types`, given as columns of the table; the worker that started last wins."""
    statement = upsert(TaskType).values(sorted(types, key=lambda t: str(t["name"])))
    columns = sorted({name for type_ in types for name in type_} - {"name"})
    return statement.on_conflict_do_update(
        index_elements=[TaskType.name],
        set_={**{name: statement.excluded[name] for name in columns}, "seen_at": func.now()},
    )


@cache
def touch_types() -> Executable:
    """Record that the types in `types` are still served."""
    return update(TaskType).where(TaskType.name == func.any(texts_param("types"))).values(seen_at=func.now())


@cache
def deregister_worker() -> Executable:
    """Delete the row of a worker that has shut down. Parameter: worker."""
    return delete(Worker).where(Worker.id == bigint_param("worker"))


@cache
def list_workers() -> Executable:
    held = (
        select(func.count())
        .where(Task.worker_id == Worker.id, status_in(Task.status, HELD))
        .correlate(Worker)
        .scalar_subquery()
    )
    return select(Worker, held.label("held"), IS_LIVE.label("is_live")).order_by(Worker.id)


@cache
def list_types() -> Executable:
    is_served = select(Worker.id).where(TaskType.name == func.any(Worker.types), IS_LIVE).correlate(TaskType).exists()
    return select(TaskType, is_served.label("is_served")).order_by(TaskType.name)


@cache
def get_type() -> Executable:
    """Parameter: type_name."""
    return select(*TaskType.__table__.c).where(TaskType.name == bindparam("type_name", type_=Text))
