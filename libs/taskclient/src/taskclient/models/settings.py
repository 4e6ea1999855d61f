"""Live settings."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Setting(msgspec.Struct, frozen=True):
    """A live setting: its effective value and where that comes from. `schema` is the JSON Schema of its values."""

    name: str
    value: Any
    default: Any
    source: str
    schema: dict[str, Any]
    changed_by: str | None
    changed_at: datetime | None
