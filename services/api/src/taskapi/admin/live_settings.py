"""Live settings: their current values, and overrides that take effect without a restart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import delete, get, put
from litestar.params import PathParameter

from taskapi.http.field_errors import field_error
from taskapi.http.parameters import HttpRequest, User, actor, problem_responses
from taskapi.http.problems import ProblemError, invalid, not_found, raise_if_any
from taskapi.http.request_body import JsonBody
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import Problem, ProblemCode
from taskapi.schemas.settings import Setting, SettingChange, Settings
from taskcore.db import live_settings as overrides
from taskcore.db.notify import SETTINGS
from taskcore.domain.documents import check_document
from taskcore.errors import InvalidDocument, InvalidLiveSetting
from taskcore.live_settings import LiveSetting, is_setting, live_settings
from taskcore.settings import AlertRule, Layer, layer_of
from taskcore.settings import Settings as ProcessSettings
from taskcore.submission.from_alert import rule_errors

_CHANGE = JsonBody(SettingChange, {"value": 15})
_Name = Annotated[str, PathParameter(max_length=255, description="For example `coordinator.sweep_every_s`.")]


@get("/settings", summary="List live settings", responses=problem_responses())
async def list_settings(services: AppServices) -> Settings:
    """Return the settings that can be changed while processes run, with their current values."""
    rows = await _rows(services)
    return Settings([_present(services, live, rows.get(name)) for name, live in live_settings().items()])


@get("/settings/{name:str}", summary="Get a live setting", responses=problem_responses(404, 409))
async def get_setting(services: AppServices, name: _Name) -> Setting:
    """Return the current value of a setting, and its source."""
    live = _live(name)
    return _present(services, live, (await _rows(services)).get(name))


@put(
    "/settings/{name:str}",
    summary="Override a live setting",
    responses=problem_responses(404, 409, 413, 415),
    **_CHANGE.options,
)
async def set_setting(request: HttpRequest, services: AppServices, name: _Name, user: User = None) -> Setting:
    """Override the setting in every process, within seconds, until the override is removed."""
    live = _live(name)
    value = (await _CHANGE.read(request)).value
    changed = _check(services, live, value)
    if name == "alerts.rules":
        await _check_alert_rules(services, changed.alerts.rules)
    given = msgspec.json.encode(value).decode()
    await services.database.write(overrides.set_override(), {"setting": name, "given": given, "by": actor(user)})
    return await _after_change(services, live)


@delete(
    "/settings/{name:str}",
    summary="Remove a live setting's override",
    status_code=200,
    responses=problem_responses(404, 409),
)
async def unset_setting(services: AppServices, name: _Name) -> Setting:
    """Remove the override, if there is one, and return the setting as the API was started with."""
    live = _live(name)
    await services.database.write(overrides.remove_override(), {"setting": name})
    return await _after_change(services, live)


def _live(name: str) -> LiveSetting:
    """Raise `ProblemError` when there is no such setting, or it is not live."""
    live = live_settings().get(name)
    if live is not None:
        return live
    if not is_setting(name):
        raise not_found(ProblemCode.SETTING_NOT_FOUND, name)
    detail = f"{name} is read when a process starts: change it in the file or the environment, then restart."
    raise ProblemError(Problem("Not a live setting", 409, ProblemCode.SETTING_NOT_LIVE, detail=detail))


def _check(services: Services, live: LiveSetting, value: Any) -> ProcessSettings:
    """Return the settings of this process with `value`. Raise `ProblemError`, which names each invalid part of it."""
    try:
        check_document(value, ("value",))
        return live.apply(services.settings.base, value)
    except InvalidDocument as exc:
        raise ProblemError(invalid([field_error(exc.path, exc.message)])) from exc
    except InvalidLiveSetting as exc:
        raise ProblemError(invalid([field_error(("value", *path), message) for path, message in exc.errors])) from exc


async def _check_alert_rules(services: Services, rules: Sequence[AlertRule]) -> None:
    """Raise `ProblemError`, which names each invalid part of a task: an error when an alert opens would go unseen."""
    wanted = {rule.task.type for rule in rules if rule.task is not None}
    types = await services.type_cache.get(wanted)
    errors = rule_errors(rules, {name: types[name].parameter_errors for name in wanted if name in types})
    raise_if_any(field_error(("value", *path), message) for path, message in errors)


async def _after_change(services: Services, live: LiveSetting) -> Setting:
    """Notify all processes of a change, and return the setting."""
    services.notifier.notify(SETTINGS)
    rows = await _rows(services)
    services.settings.apply_overrides({name: row.value for name, row in rows.items()})
    return _present(services, live, rows.get(live.name))


async def _rows(services: Services) -> dict[str, Any]:
    return {row.name: row for row in await services.database.read(overrides.list_overrides())}


def _present(services: Services, live: LiveSetting, row: Any) -> Setting:
    """Return the setting. `row` is its override, if any; an override that is no longer valid does not count."""
    base = services.settings.base
    value, source = live.value_in(base), str(layer_of(live.section, live.field))
    if row is not None:
        try:
            value, source = live.value_in(live.apply(base, row.value)), str(Layer.DATABASE)
        except InvalidLiveSetting:
            row = None
    return Setting(
        name=live.name,
        value=value,
        default=live.default_value(),
        source=source,
        schema=live.type.json_schema(),
        changed_by=None if row is None else row.changed_by,
        changed_at=None if row is None else row.changed_at,
    )
