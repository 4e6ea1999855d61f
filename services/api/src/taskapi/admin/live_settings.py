"""The live settings: what holds now, and changing it without a restart."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import PathParameter

from taskapi.admin.alert_rules import RULES_SETTING, check_alert_rules
from taskapi.http.field_errors import field_error
from taskapi.http.parameters import User, actor, problem_responses
from taskapi.http.problems import ProblemError, invalid, setting_not_found, setting_not_live
from taskapi.http.request_body import decode, read_json_body
from taskapi.runtime.services import Services
from taskapi.schemas import Setting, SettingChange, Settings
from taskcore.db import overrides
from taskcore.db.notify import SETTINGS
from taskcore.domain.documents import check_document
from taskcore.errors import InvalidDocument, InvalidLiveSetting
from taskcore.live_settings import LiveSetting, is_setting, live_settings
from taskcore.settings import Layer, layer_of
from taskcore.settings import Settings as ProcessSettings

MAX_BYTES = 64 * 1024

_CHANGE = msgspec.json.Decoder(SettingChange)
_Name = Annotated[str, PathParameter(max_length=255, description="As in `coordinator.sweep_every_s`.")]


@get(
    "/settings",
    operation_id="list_settings",
    summary="List live settings",
    tags=["settings"],
    responses=problem_responses(),
)
async def list_settings(services: NamedDependency[Services]) -> Settings:
    """Those that can be changed while processes run, as they hold now."""
    rows = await _rows(services)
    return Settings([_answer(services, live, rows.get(name)) for name, live in live_settings().items()])


@get(
    "/settings/{name:str}",
    operation_id="get_setting",
    summary="Get a live setting",
    tags=["settings"],
    responses=problem_responses(404, 409),
)
async def get_setting(services: NamedDependency[Services], name: _Name) -> Setting:
    """As it holds now, and where that comes from."""
    live = _live(name)
    return _answer(services, live, (await _rows(services)).get(name))


@put(
    "/settings/{name:str}",
    operation_id="set_setting",
    summary="Override a live setting",
    tags=["settings"],
    request_max_body_size=MAX_BYTES,
    responses=problem_responses(404, 409, 413, 415),
)
async def set_setting(
    request: Request[Any, Any, Any], services: NamedDependency[Services], name: _Name, user: User = None
) -> Setting:
    """For every process, within seconds, until it is removed."""
    live = _live(name)
    value = decode(await read_json_body(request), _CHANGE).value
    changed = _check(services, live, value)
    if name == RULES_SETTING:
        await check_alert_rules(services, changed.alerts.rules)
    given = msgspec.json.encode(value).decode()
    await services.database.write(overrides.set_override(), {"setting": name, "given": given, "by": actor(user)})
    return await _told(services, live)


@delete(
    "/settings/{name:str}",
    operation_id="unset_setting",
    summary="Remove a live setting's override",
    tags=["settings"],
    status_code=200,
    responses=problem_responses(404, 409),
)
async def unset_setting(services: NamedDependency[Services], name: _Name) -> Setting:
    """From then on each process's own setting holds. Answers as it is then; it is no error if there was none."""
    live = _live(name)
    await services.database.write(overrides.remove_override(), {"setting": name})
    return await _told(services, live)


def _live(name: str) -> LiveSetting:
    """Raises `Refused`."""
    live = live_settings().get(name)
    if live is not None:
        return live
    raise setting_not_live(name) if is_setting(name) else setting_not_found(name)


def _check(services: Services, live: LiveSetting, value: Any) -> ProcessSettings:
    """The process's own settings with `value`. Raises `Refused`, naming each part of it that is at fault."""
    try:
        check_document(value, ("value",))
        return live.apply(services.settings.base, value)
    except InvalidDocument as exc:
        raise ProblemError(invalid([field_error(exc.path, exc.message)])) from exc
    except InvalidLiveSetting as exc:
        raise ProblemError(invalid([field_error(("value", *path), why) for path, why in exc.errors])) from exc


async def _told(services: Services, live: LiveSetting) -> Setting:
    """The setting after a change, of which everybody hears."""
    services.notifier.notify(SETTINGS)
    rows = await _rows(services)
    services.settings.apply_overrides({name: row.value for name, row in rows.items()})
    return _answer(services, live, rows.get(live.name))


async def _rows(services: Services) -> dict[str, Any]:
    return {row.name: row for row in await services.database.read(overrides.list_overrides())}


def _answer(services: Services, live: LiveSetting, row: Any) -> Setting:
    """`row`: its override, where it has one. One that is not valid does not count."""
    own = services.settings.base
    value, source = live.value_in(own), str(layer_of(live.section, live.field))
    if row is not None:
        try:
            value, source = live.value_in(live.apply(own, row.value)), str(Layer.DATABASE)
        except InvalidLiveSetting:
            row = None
    return Setting(
        name=live.name,
        value=value,
        default=live.default_value(),
        source=source,
        schema=live.json_schema(),
        changed_by=None if row is None else row.changed_by,
        changed_at=None if row is None else row.changed_at,
    )
