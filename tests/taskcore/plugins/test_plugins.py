"""Plugins: installed is registered, and a plugin that breaks the interface is named."""

from __future__ import annotations

from typing import Any

import pytest

from taskcore.errors import InvalidPlugin
from taskcore.plugins import Parameters, Plugin, TaskContext, build_plugins, load_plugins


class Number(Parameters, frozen=True):
    number: int


class Fine(Plugin[Number]):
    name = "fine"

    def run(self, ctx: TaskContext, params: Number) -> object:
        return params.number


def test_the_types_that_ship_are_installed() -> None:
    assert {"noop", "sleep", "send_email", "run_query", "http_request", "run_command"} <= set(load_plugins())


def test_every_schema_is_an_object_that_refuses_unknown_members() -> None:
    for plugin in load_plugins().values():
        schema = plugin.schema()
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False


def test_a_schema_is_self_contained() -> None:
    assert Fine.schema()["properties"] == {"number": {"type": "integer"}}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([Fine, Fine], "two plugins are named 'fine'"),
        ([str], "not a subclass"),
        ([type("Nameless", (Plugin,), {})], "name must match"),
        ([type("Odd", (Plugin,), {"name": "a b"})], "name must match"),
        ([type("Untyped", (Plugin,), {"name": "untyped", "run": lambda *_: None})], "does not name its parameters"),
    ],
)
def test_a_plugin_that_breaks_the_interface_is_named(classes: list[Any], message: str) -> None:
    with pytest.raises(InvalidPlugin, match=message):
        build_plugins(classes)
