"""Live settings: those that the table `setting` may override while processes run.

Settings stay frozen: who reads a live one asks for the current settings each time, and hears when they change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import structlog
from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Executable

from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import SETTINGS, Listener
from taskcore.db.overrides import list_overrides
from taskcore.errors import InvalidLiveSetting
from taskcore.settings import Live, Settings

POLL_INTERVAL_S = 5.0

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LiveSetting:
    """One that is live: `field` of `section`. `type` checks its values."""

    section: str
    field: str
    type: TypeAdapter[Any]

    @property
    def name(self) -> str:
        return f"{self.section}.{self.field}"

    def value_in(self, settings: Settings) -> Any:
        """As JSON has it."""
        return self.type.dump_python(
            getattr(getattr(settings, self.section), self.field), mode="json", exclude_unset=True
        )

    def default_value(self) -> Any:
        """What holds where nobody has set it. As JSON has it."""
        return self.value_in(Settings.model_construct())

    def json_schema(self) -> dict[str, Any]:
        """The JSON Schema of its values."""
        return self.type.json_schema()

    def apply(self, settings: Settings, value: Any) -> Settings:
        """`settings` with `value`, which comes out of JSON. Raises `InvalidSetting`."""
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
    """All that are live, by their names."""
    found: dict[str, LiveSetting] = {}
    for section, holder in Settings.model_fields.items():
        if isinstance(holder.default, BaseModel):
            for field, info in type(holder.default).model_fields.items():
                if any(isinstance(mark, Live) for mark in info.metadata):
                    kind: Any = Annotated[(info.annotation, *info.metadata)]
                    found[f"{section}.{field}"] = LiveSetting(section, field, TypeAdapter(kind))
    return found


def is_setting(name: str) -> bool:
    """Whether there is a setting of this name, live or not."""
    section, _, field = name.partition(".")
    if section not in Settings.model_fields:
        return False
    holder = Settings.model_fields[section].default
    return field in type(holder).model_fields if isinstance(holder, BaseModel) else not field


class CurrentSettings:
    """The settings as they are now: the process's own, with what the database overrides."""

    def __init__(self, base: Settings) -> None:
        self.base = base
        self.now = base
        self._overrides: Mapping[str, Any] = {}
        self._callbacks: list[Callable[[], object]] = []

    def on_change(self, callback: Callable[[], object]) -> None:
        """Have `callback` called whenever `now` has become another."""
        self._callbacks.append(callback)

    def apply_overrides(self, overrides: Mapping[str, Any]) -> None:
        """These, and no others. What is not valid is ignored, and said once."""
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
    """Keeps `settings` current: on each NOTIFY, and at the latest every `POLL_S` seconds. `read` runs a statement."""

    def __init__(
        self,
        settings: CurrentSettings,
        read: Callable[[Executable], Awaitable[Sequence[Any]]],
        *,
        name: str,
    ) -> None:
        self._settings = settings
        self._read = read
        self._woken = asyncio.Event()
        url = settings.base.database_url.get_secret_value()
        self._listener = Listener(url, SETTINGS, name=name, on_wake=self._woken.set)

    async def run(self) -> None:
        """Until cancelled."""
        listening = asyncio.create_task(self._listener.run(), name="settings listener")
        try:
            while True:
                self._woken.clear()
                await self.refresh()
                with suppress(TimeoutError):
                    async with asyncio.timeout(
                        POLL_INTERVAL_S
                    ):  # wait_for may swallow being cancelled, before Python 3.12
                        await self._woken.wait()
        finally:
            listening.cancel()

    async def refresh(self) -> None:
        """A database that is away leaves the settings as they are."""
        try:
            self._settings.apply_overrides(to_overrides(await self._read(list_overrides())))
        except Exception as exc:  # the next look may succeed
            if not is_database_unavailable(exc):
                log.exception("settings.read_failed")


def to_overrides(rows: Sequence[Any]) -> dict[str, Any]:
    """The rows of `list_overrides` as `CurrentSettings.override` takes them."""
    return {row.name: row.value for row in rows}
