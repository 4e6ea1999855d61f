"""The base class of all tables, and the column types they share."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ARRAY, BigInteger, DateTime, MetaData, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Model(DeclarativeBase):
    """The base class: text is `text`, times are timezone-aware, JSON is `jsonb`."""

    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy's own hook)
        str: Text(),
        int: BigInteger(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(none_as_null=True),
        list[str]: ARRAY(Text()),
    }
    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "pk": "%(table_name)s_pkey",
        }
    )


def now() -> Mapped[datetime]:
    return mapped_column(server_default=text("now()"))


def one_of(column: str, values: Iterable[StrEnum]) -> str:
    """Return the SQL condition that `column` is one of `values`, members of one enum."""
    members = frozenset(values)
    kind = type(next(iter(members)))
    listed = ", ".join(f"'{member}'" for member in kind if member in members)
    return f"{column} IN ({listed})"
