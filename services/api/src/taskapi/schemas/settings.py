"""Live settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True):
    """A live setting and its current value. `schema` is the JSON Schema of its values.

    The `source` of the value is `database` when it is overridden, otherwise `default`, `file`, `environment` or
    `secret`, as the API was started with.
    """

    name: str
    value: Any
    default: Any
    source: str
    schema: dict[str, Any]
    changed_by: str | None
    changed_at: datetime | None


class Settings(msgspec.Struct, frozen=True):
    items: list[Setting]


class SettingChange(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    value: Any
