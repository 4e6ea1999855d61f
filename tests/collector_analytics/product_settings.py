"""Settings with configured metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from taskcore.settings import Settings

NO_DATABASE = "postgresql://nobody@127.0.0.1:1/none"


def queries(url: str, sql: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Return the sections of the settings that configure these queries by name."""
    return {
        "databases": {"product": {"url": url, "read_only": False}},
        "analytics": {"queries": {name: {"database": "product", "sql": text, **more} for name, text in sql.items()}},
    }


def settings_of(sections: dict[str, Any]) -> Settings:
    return Settings(database_url=SecretStr(NO_DATABASE), **sections)
