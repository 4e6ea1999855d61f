"""Typed parameters, constants, and small expressions that several statements share.

No parameter may have the name of a column: SQLAlchemy would take it for a value to SET.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    DateTime,
    Float,
    Integer,
    Interval,
    SQLColumnExpression,
    TableValuedAlias,
    Text,
    Uuid,
    bindparam,
    column,
    func,
    literal_column,
    text,
    type_coerce,
)
from sqlalchemy.dialects.postgresql import JSON, array
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeEngine


def bigints_param(name: str = "ids") -> BindParameter[Sequence[int]]:
    return bindparam(name, type_=ARRAY(BigInteger))


def texts_param(name: str) -> BindParameter[Sequence[str]]:
    return bindparam(name, type_=ARRAY(Text))


def bigint_param(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


def int_param(name: str) -> BindParameter[int]:
    return bindparam(name, type_=Integer)


def token_param() -> BindParameter[UUID]:
    return bindparam("token", type_=Uuid)


def timestamp_param(name: str) -> BindParameter[datetime]:
    return bindparam(name, type_=DateTime(timezone=True))


def seconds_param(name: str) -> ColumnElement[timedelta]:
    """The parameter `name`, a number of seconds, as an interval."""
    return interval(bindparam(name, type_=Float))


def interval(value: Any) -> ColumnElement[timedelta]:
    """A number of seconds as an interval."""
    expression: ColumnElement[timedelta] = value * literal_column("interval '1 second'", Interval)
    return expression


def worker_actor_param() -> ColumnElement[str]:
    """The name under which the worker `worker` appears in the history: `worker:<id>`."""
    return func.concat(const_text("worker:"), bigint_param("worker"))


def actor_param() -> ColumnElement[str]:
    """The actor of a change, for its history: the parameter `by`."""
    return bindparam("by", type_=Text)


def const_text(value: str | StrEnum) -> ColumnElement[str]:
    """A constant in the SQL text. As a parameter, it would keep a prepared statement from using the partial indexes."""
    quoted = str(value).replace("'", "''")
    return literal_column(f"'{quoted}'::text", Text)


def const_bool(value: bool) -> ColumnElement[bool]:
    """As `const_text`, for a boolean."""
    return literal_column(str(value).lower(), Boolean)


def key_equals(key: InstrumentedAttribute[int], value: SQLColumnExpression[int]) -> ColumnElement[bool]:
    """`key` = `value`, in a form that an index on the key can serve, but no merge join: that would read whole indexes.

    A young table's statistics make the merge join look cheapest, and plans outlive them: with 40,000 tasks added since,
    a settlement took 7 ms instead of 0.6.
    """
    return key == func.any(array([value]))


def status_in(status: InstrumentedAttribute[str], statuses: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`status` is one of `statuses`, as constants."""
    return status.in_([const_text(s) for s in sorted(statuses)])


def status_in_unindexed(status: InstrumentedAttribute[str], statuses: Iterable[StrEnum]) -> ColumnElement[bool]:
    """As `status_in`, for rows that are found by their key: no index can serve it.

    With statistics from when nothing was waiting, reading every active task looks cheapest: with 20,000 waiting tasks,
    a claim that used the index on status took 56 ms; by key it takes 0.5 ms.
    """
    return status.concat(literal_column("''", Text)).in_([const_text(s) for s in sorted(statuses)])


def recordset(name: str, /, **columns: type[TypeEngine[Any]] | TypeEngine[Any]) -> TableValuedAlias:
    """The table `name` with `columns`, read from the parameter `rows`: the JSON text of an array of objects.

    One parameter for any number of rows, so the statement is prepared once. A JSON null becomes an SQL NULL.
    """
    rows = bindparam("rows", type_=Text).op("::", is_comparison=False)(text("json"))
    return (
        func.json_to_recordset(type_coerce(rows, JSON))
        .table_valued(*(column(key, type_) for key, type_ in columns.items()), name=name)
        .render_derived(with_types=True)
    )
