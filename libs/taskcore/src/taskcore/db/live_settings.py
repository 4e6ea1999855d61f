"""The live settings that have been overridden."""

from __future__ import annotations

from functools import cache

from sqlalchemy import Executable, Text, bindparam, cast, delete, func, select
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert

from taskcore.db.models import Setting
from taskcore.db.sql import actor_param


@cache
def list_overrides() -> Executable:
    return select(Setting.name, Setting.value, Setting.changed_by, Setting.changed_at).order_by(Setting.name)


@cache
def set_override() -> Executable:
    """Parameters: setting (its name), given (JSON), by."""
    statement = upsert(Setting).values(
        name=bindparam("setting", type_=Text),
        value=cast(bindparam("given", type_=Text), JSONB),
        changed_by=actor_param(),
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[Setting.name],
        set_={"value": new.value, "changed_by": new.changed_by, "changed_at": func.now()},
    )


@cache
def remove_override() -> Executable:
    """Parameter: setting (its name)."""
    return delete(Setting).where(Setting.name == bindparam("setting", type_=Text))
