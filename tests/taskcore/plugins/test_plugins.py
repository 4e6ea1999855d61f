"""Plugins: installed ones are found, and invalid ones are named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import pytest

from taskcore.errors import InvalidPlugin
from taskcore.leasing.registration import type_row
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


class Abstract(Plugin[Number]):
    name = "abstract"


@dataclass
class Data:
    number: int = 0


class Unschemed(Parameters, frozen=True):
    value: Annotated[object, type(None)] | complex


def with_(**variables: Any) -> Any:
    """Return a plugin class with these class variables."""
    return type("Odd", (Valid,), {"name": "odd", **variables})


async def run_later(self: object, ctx: object, params: object) -> None:
    pass


def run_in_steps(self: object, ctx: object, params: object) -> Iterator[int]:
    yield 1


def run_without_parameters(self: object, ctx: object) -> None:
    pass


def refuse(self: object) -> None:
    raise RuntimeError("no instance")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([Valid, Valid], r"two plugins are named 'valid': .*test_plugins:Valid and .*test_plugins:Valid"),
        ([str], "not a subclass"),
        ([type("Nameless", (Plugin,), {})], "Nameless.name must be text that matches"),
        ([type("Odd", (Plugin,), {"name": "a b"})], "Odd.name must be text that matches"),
        ([type("Untyped", (Plugin,), {"name": "untyped", "run": lambda *_: None})], "does not name its parameters"),
        ([Abstract], "Abstract cannot be instantiated: TypeError"),
        ([with_(__init__=refuse)], "Odd cannot be instantiated: RuntimeError: no instance"),
        ([with_(name=5)], r"Odd.name must be text .*, not 5"),
        ([with_(name="x" * 256)], "up to 255 characters"),
        (
            [with_(queue="worker.5")],
            "Odd.queue must be a queue's name .*which are reserved.*, not 'worker.5'",
        ),
        ([with_(queue=None)], "Odd.queue must be a queue's name"),
        ([with_(description=b"x")], "Odd.description must be text"),
        ([with_(retry=5)], "Odd.retry must be a RetryPolicy, not 5"),
        ([with_(timeout="5 s")], "Odd.timeout must be a timedelta or a number of seconds"),
        ([with_(timeout=True)], "Odd.timeout must be"),
        ([with_(timeout=timedelta(0))], "Odd.timeout must be"),
        ([with_(timeout=float("nan"))], "Odd.timeout must be"),
        ([with_(isolation="process")], "Odd.isolation must be Isolation.THREAD or Isolation.PROCESS, not 'process'"),
        ([with_(can_cancel="no")], "Odd.can_cancel must be True or False"),
        ([with_(can_pause=1)], "Odd.can_pause must be True or False"),
        ([with_(memory_limit_bytes=1e9)], "Odd.memory_limit_bytes must be a positive number of bytes"),
        ([with_(run=run_later)], "Odd.run is a coroutine function"),
        ([with_(run=run_in_steps)], "Odd.run is a generator function"),
        ([with_(run=run_without_parameters)], r"Odd.run must take \(self, ctx, params\)"),
    ],
)
def test_invalid_plugin_is_refused_in_words(classes: list[Any], message: str) -> None:
    with pytest.raises(InvalidPlugin, match=message):
        build_plugins(classes)


def test_parameters_of_another_kind_are_named() -> None:
    class Typed(Plugin[Data]):  # type: ignore[type-var]
        name = "typed"

        def run(self, ctx: TaskContext, params: Data) -> object:
            return None

    with pytest.raises(InvalidPlugin, match=r"names Data as its parameters, which must be a subclass of .*Parameters"):
        build_plugins([Typed])


def test_parameters_without_a_schema_are_named() -> None:
    class Schemaless(Plugin[Unschemed]):
        name = "schemaless"

        def run(self, ctx: TaskContext, params: Unschemed) -> object:
            return None

    with pytest.raises(InvalidPlugin, match="Schemaless's parameters have no JSON Schema: "):
        build_plugins([Schemaless])


@pytest.mark.parametrize(
    ("timeout", "seconds"), [(5, 5), (0.5, 0.5), (timedelta(minutes=1), 60), (Fraction(1, 2), 0.5), (None, None)]
)
def test_timeout_may_be_a_number_of_seconds(timeout: Any, seconds: float | None) -> None:
    (plugin,) = build_plugins([with_(timeout=timeout)]).values()

    assert type_row(plugin)["timeout_s"] == seconds


def test_distributions_of_plugins_with_the_same_name_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for distribution in ("first", "second"):
        metadata = tmp_path / f"{distribution}-1.5.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.5\n")
        entry = f"[taskcore.plugins]\n{distribution} = {__name__}:Valid\n"
        (metadata / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(InvalidPlugin, match=r"'valid': .*:Valid \(first 1.5\) and .*:Valid \(second 1.5\)"):
        load_plugins()
