"""Live settings: those that the table `setting` may override while processes run.

Settings objects stay frozen. Code that uses a live setting reads it from `CurrentSettings.now` each time, and may
register a callback for changes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Executable

from taskcore.db.engine import is_database_unavailable
from taskcore.db.live_settings import list_overrides
from taskcore.db.notify import SETTINGS, Listener
from taskcore.errors import InvalidLiveSetting
from taskcore.observability.outages import DATABASE
from taskcore.settings import Live, Settings
from taskcore.wakeup import Wakeup

POLL_INTERVAL_S = 5.0

Read = Callable[[Executable], Awaitable[Sequence[Any]]]

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveSetting:
    """The live setting `field` of `section`. `type` validates its values."""

    section: str
    field: str
    type: TypeAdapter[Any]

    @property
    def name(self) -> str:
        return f"{self.section}.{self.field}"

    def value_in(self, settings: Settings) -> Any:
        """Return the value in `settings` as JSON."""
        value = getattr(getattr(settings, self.section), self.field)
        return self.type.dump_python(value, mode="json", exclude_unset=True)

    def default_value(self) -> Any:
        """Return the built-in default as JSON."""
        return self.value_in(Settings.model_construct())

    def apply(self, settings: Settings, value: Any) -> Settings:
        """Return `settings` with `value`, which is JSON, put in. Raises `InvalidSetting`."""
        section: BaseModel = getattr(settings, self.section)
        try:
            checked = self.type.validate_json(json.dumps(value), strict=True)
            changed = type(section).model_validate({**dict(section), self.field: checked})
        except ValidationError as exc:
            errors = exc.errors(include_input=False, include_url=False, include_context=False)
            raise InvalidLiveSetting([(error["loc"], error["msg"]) for error in errors]) from exc
        return settings.model_copy(update={self.section: changed})


@cache
def live_settings() -> Mapping[str, LiveSetting]:
    found: dict[str, LiveSetting] = {}
    for section, holder in Settings.model_fields.items():
        if isinstance(holder.default, BaseModel):
            for field, info in type(holder.default).model_fields.items():
                if any(isinstance(mark, Live) for mark in info.metadata):
                    kind: Any = Annotated[(info.annotation, *info.metadata)]
                    found[f"{section}.{field}"] = LiveSetting(section, field, TypeAdapter(kind))
    return found


def is_setting(name: str) -> bool:
    """Whether a setting of this name exists, live or not."""
    section, _, field = name.partition(".")
    if section not in Settings.model_fields:
        return False
    holder = Settings.model_fields[section].default
    return field in type(holder).model_fields if isinstance(holder, BaseModel) else not field


class CurrentSettings:
    """The settings as of now: those that the process was started with (`base`), with the database's overrides."""

    def __init__(self, base: Settings) -> None:
        self.base = base
        self.now = base
        self._overrides: Mapping[str, Any] = {}
        self._callbacks: list[Callable[[], object]] = []

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call `callback` after each change of `now`."""
        self._callbacks.append(callback)

    def apply_overrides(self, overrides: Mapping[str, Any]) -> None:
        """Replace all earlier overrides by these. Invalid ones are ignored and logged once."""
        if overrides == self._overrides:
            return
        self._overrides = overrides
        now = self.base
        for name, value in overrides.items():
            try:
                now = live_settings()[name].apply(now, value)
            except (KeyError, InvalidLiveSetting) as exc:
                log.warning("setting.override_ignored", setting=name, error=str(exc))
        if now != self.now:
            self.now = now
            log.info("settings.changed", overridden=sorted(overrides))
            for callback in self._callbacks:
                callback()


class SettingsWatcher:
    """Reads the overrides on each NOTIFY and every `POLL_INTERVAL_S` seconds. `read` runs a statement."""

    def __init__(self, settings: CurrentSettings, read: Read, *, name: str) -> None:
        self._settings = settings
        self._read = read
        self._wakeup = Wakeup()
        self._listener = Listener(settings.base.direct_url, SETTINGS, name=name, on_wake=self._wakeup.wake)

    async def run(self) -> None:
        """Run until cancelled."""
        listening = asyncio.create_task(self._listener.run(), name="settings listener")
        try:
            while True:
                await self.refresh()
                await self._wakeup.wait(POLL_INTERVAL_S)
        finally:
            listening.cancel()

    async def refresh(self) -> None:
        """Read the overrides once. While the database is unavailable the settings stay as they are."""
        try:
            self._settings.apply_overrides(to_overrides(await self._read(list_overrides())))
            DATABASE.succeeded()
        except Exception as exc:  # the next read may succeed
            if is_database_unavailable(exc):
                DATABASE.failed(exc)
            else:
                log.exception("settings.read_failed")


def to_overrides(rows: Sequence[Any]) -> dict[str, Any]:
    """Return the rows of `list_overrides` as `CurrentSettings.apply_overrides` takes them."""
    return {row.name: row.value for row in rows}
