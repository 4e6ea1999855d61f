"""Plugins: installed ones are found, and invalid ones are named."""

from __future__ import annotations

from typing import Any

import pytest

from taskcore.errors import InvalidPlugin
from taskcore.plugins import Parameters, Plugin, TaskContext, build_plugins, load_plugins


class Number(Parameters, frozen=True):
    number: int


class Valid(Plugin[Number]):
    name = "valid"

    def run(self, ctx: TaskContext, params: Number) -> object:
        return params.number


def test_shipped_types_are_installed() -> None:
    assert {"noop", "sleep", "send_email", "run_query", "http_request", "run_command"} <= set(load_plugins())


def test_schemas_are_objects_without_unknown_members() -> None:
    for plugin in load_plugins().values():
        schema = plugin.schema()
        assert schema["type"] == "object"
        assert schema["additionalProperties"] is False


def test_schema_is_self_contained() -> None:
    assert Valid.schema()["properties"] == {"number": {"type": "integer"}}


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([Valid, Valid], "two plugins are named 'valid'"),
        ([str], "not a subclass"),
        ([type("Nameless", (Plugin,), {})], "name must match"),
        ([type("Odd", (Plugin,), {"name": "a b"})], "name must match"),
        ([type("Untyped", (Plugin,), {"name": "untyped", "run": lambda *_: None})], "does not name its parameters"),
    ],
)
def test_invalid_plugin_is_named_in_the_error(classes: list[Any], message: str) -> None:
    with pytest.raises(InvalidPlugin, match=message):
        build_plugins(classes)
