"""Many rows as one parameter: a JSON array that PostgreSQL turns into a table."""

from __future__ import annotations

from typing import Any

from sqlalchemy import TableValuedAlias, Text, bindparam, column, func, text, type_coerce
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.types import TypeEngine


def recordset(name: str, /, **columns: type[TypeEngine[Any]] | TypeEngine[Any]) -> TableValuedAlias:
    """The table `name` with `columns`, read from the parameter `rows`: the JSON text of an array of objects.

    One parameter whatever the number of rows, so that the statement is prepared once. A JSON null is an SQL NULL.
    """
    rows = bindparam("rows", type_=Text).op("::", is_comparison=False)(text("json"))
    return (
        func.json_to_recordset(type_coerce(rows, JSON))
        .table_valued(*(column(key, type_) for key, type_ in columns.items()), name=name)
        .render_derived(with_types=True)
    )
