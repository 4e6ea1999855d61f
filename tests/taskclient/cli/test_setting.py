"""`task-cli setting …`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, problem


def setting_body(**fields: Any) -> dict[str, Any]:
    return {
        "name": "coordinator.sweep_every_s",
        "value": 5,
        "default": 30,
        "source": "database",
        "schema": {"type": "number"},
        "changed_by": "api",
        "changed_at": "2030-01-02T03:04:05Z",
    } | fields


def test_list_shows_values_and_their_sources(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/settings", Answer(200, {"items": [setting_body()]}))

    table, as_json = cli("setting", "list"), cli("setting", "ls", "-o", "json")

    assert table.stdout.splitlines()[2].split()[:4] == ["coordinator.sweep_every_s", "5", "30", "database"]
    assert json.loads(as_json.stdout)["items"][0]["value"] == 5


def test_get_shows_every_field(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/settings/coordinator.sweep_every_s", Answer(200, setting_body()))

    result = cli("setting", "get", "coordinator.sweep_every_s")

    rows = dict(line.split(maxsplit=1) for line in result.stdout.splitlines())
    assert (rows["value"], rows["changed_by"]) == ("5", "api")


@pytest.mark.parametrize(
    ("text", "value"), [("5", 5), ("null", None), ("debug", "debug"), ('{"noop": {}}', {"noop": {}}), ('"5"', "5")]
)
def test_set_sends_json_or_else_text(cli: RunCli, server: FakeTaskServer, text: str, value: Any) -> None:
    server.on("PUT", "/settings/log.level", Answer(200, setting_body(value=value)))

    result = cli("setting", "set", "log.level", text)

    assert result.exit_code == 0, result.stderr
    assert server.requests[0].body == {"value": value}


def test_unset_removes_the_override(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("DELETE", "/settings/log.level", Answer(200, setting_body(source="default")))

    result = cli("setting", "unset", "log.level", "-o", "json")

    assert json.loads(result.stdout)["source"] == "default"


def test_refused_value_names_the_field_and_exits_1(cli: RunCli, server: FakeTaskServer) -> None:
    errors = [{"field": "value", "message": "Input should be greater than 0"}]
    server.on("PUT", "/settings/log.level", problem(422, "invalid", errors=errors))

    result = cli("setting", "set", "log.level", "0")

    assert result.exit_code == 1
    assert "value: Input should be greater than 0" in result.stderr
