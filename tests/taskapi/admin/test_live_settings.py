"""Live settings over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, problem_of


async def test_each_live_setting_has_its_value_and_source(api: httpx.AsyncClient) -> None:
    items = {item["name"]: item for item in (await api.get("/settings")).json()["items"]}

    sweep = items["coordinator.sweep_every_s"]
    assert (sweep["value"], sweep["default"], sweep["source"], sweep["changed_by"]) == (30, 30, "default", None)
    assert sweep["schema"]["exclusiveMinimum"] == 0
    assert items["log.level"]["schema"]["enum"] == ["debug", "info", "warning", "error"]
    assert "worker.threads" not in items


async def test_a_change_applies_at_once_is_recorded_and_sends_a_notification(
    api: httpx.AsyncClient, database: Database
) -> None:
    database.execute("LISTEN taskcore_settings")

    changed = (await api.put("/settings/coordinator.sweep_every_s", json={"value": 5})).json()

    assert (changed["value"], changed["default"], changed["source"], changed["changed_by"]) == (
        5,
        30,
        "database",
        "api",
    )
    assert changed["changed_at"]
    assert (await api.get("/settings/coordinator.sweep_every_s")).json() == changed
    assert list(await asyncio.to_thread(lambda: list(database.notifies(timeout=30, stop_after=1))))


async def test_removing_an_override_restores_the_setting_of_the_process(api: httpx.AsyncClient) -> None:
    await api.put("/settings/log.level", json={"value": "debug"})

    for _ in range(2):
        removed = await api.delete("/settings/log.level")

        assert removed.status_code == 200
        assert (removed.json()["value"], removed.json()["source"]) == ("info", "default")


async def test_null_can_be_set_when_the_setting_allows_it(api: httpx.AsyncClient) -> None:
    kept = (await api.put("/settings/retention.succeeded_s", json={"value": None})).json()

    assert (kept["value"], kept["source"]) == (None, "database")


async def test_a_structured_value_is_stored_as_given(api: httpx.AsyncClient) -> None:
    value = {"send_email": {"succeeded_s": 60.0, "failed_s": None}}

    changed = (await api.put("/settings/retention.types", json={"value": value})).json()

    assert changed["value"] == value


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("coordinator.sweep_every_s", 0, "value"),
        ("coordinator.sweep_every_s", "5", "value"),
        ("log.level", "loud", "value"),
        ("retention.types", {"noop": {"succeeded_s": -1}}, "value.noop.succeeded_s"),
        ("retention.types", {"noop": {"succeded_s": 1}}, "value.noop.succeded_s"),
        ("log.level", "nul \0", "value"),
        ("retention.types", {"a": [[]] * 3}, "value.a"),
    ],
)
async def test_an_invalid_value_is_named_and_not_stored(
    api: httpx.AsyncClient, database: Database, name: str, value: Any, field: str
) -> None:
    assert field in field_errors_of(await api.put(f"/settings/{name}", json={"value": value}))

    assert database.execute("SELECT 1 FROM setting").fetchall() == []


@pytest.mark.parametrize("body", [{}, {"value": 5, "more": 1}, [5]])
async def test_a_body_without_a_value_is_refused(api: httpx.AsyncClient, body: Any) -> None:
    assert (await api.put("/settings/coordinator.sweep_every_s", json=body)).status_code == 422


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("coordinator.sweep_evry_s", 404, "setting_not_found"),
        ("nul%00", 404, "setting_not_found"),
        ("worker.threads", 409, "setting_not_live"),
        ("database_url", 409, "setting_not_live"),
        ("smtp.password", 409, "setting_not_live"),
    ],
)
async def test_an_unknown_and_a_static_setting_are_refused(
    api: httpx.AsyncClient, method: str, name: str, status: int, code: str
) -> None:
    body = {"value": 5} if method == "PUT" else None

    problem_of(await api.request(method, f"/settings/{name}", json=body), status, code)


async def test_an_override_that_is_no_longer_valid_does_not_count(api: httpx.AsyncClient, database: Database) -> None:
    database.execute(
        "INSERT INTO setting (name, value, changed_by) VALUES ('log.level', '\"loud\"', 'me'), ('old.one', '1', 'me')"
    )

    setting = (await api.get("/settings/log.level")).json()

    assert (setting["value"], setting["source"], setting["changed_by"]) == ("info", "default", None)
    assert (await api.get("/settings")).status_code == 200
