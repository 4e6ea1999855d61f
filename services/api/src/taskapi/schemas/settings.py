"""Live settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True):
    """A live setting: its value now, and where that comes from. `schema` is the JSON Schema of its values.

    `source`: `default`, `file`, `environment` or `secret` as this API's process has it; `database`: changed by a call.
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
