"""Writes the pages that code already says: `docs/state_machine.md` and `docs/settings.md`. With --check, compares."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from taskcore.domain.states import as_markdown
from taskcore.settings import (
    PREFIX,
    AlertRule,
    AlertTask,
    CommandSettings,
    CounterMetric,
    DatabaseSettings,
    Live,
    QueryMetric,
    Settings,
)

HERE = Path(__file__).parent

SETTINGS_HEAD = """# Settings

Generated from `libs/taskcore/src/taskcore/settings/` by `make docs`; do not edit.

In layers, each beating the one before: defaults, a YAML file (`TASKCORE_CONFIG`), the environment, a directory of
secrets (`TASKCORE_SECRETS_DIR`: one file a setting, named like its variable in lower case without the prefix, as
`smtp__password`). They are read when a process starts; a bad one is named, and its value never printed. In YAML,
`TASKCORE_SMTP__HOST` is `smtp: {host: …}`. Durations are in seconds.

Those that are marked live can be changed while processes run, by `PUT /api/v1/settings/{name}` or by
`task-cli setting set`:
`TASKCORE_LOG__LEVEL` is `log.level` there. What is set so is kept in the database, beats all layers, and takes effect
in every process within seconds.

| variable | default | values |
| --- | --- | --- |
"""

#: What is named: the setting, an example, and what one of them is made of.
NAMED: tuple[tuple[str, str, type[BaseModel]], ...] = (
    (
        "`TASKCORE_DATABASES` names the databases that `run_query` may use",
        '{"reporting": {"url": "postgresql://…", "read_only": true}}',
        DatabaseSettings,
    ),
    (
        "`TASKCORE_COMMANDS` names the commands that `run_command` may run",
        '{"backup": {"argv": ["/usr/bin/pg_dump", "--schema-only"], "max_arguments": 1, "timeout_s": 600}}',
        CommandSettings,
    ),
    (
        "`TASKCORE_ANALYTICS__QUERIES` names metrics that queries measure",
        '{"active_users": {"database": "shop", "sql": "SELECT count(*) FROM users WHERE active"}}',
        QueryMetric,
    ),
    (
        "`TASKCORE_ANALYTICS__COUNTERS` names metrics that JSON documents have",
        '{"instances": {"url": "https://shop.example/stats", "pointer": "/instances/active"}}',
        CounterMetric,
    ),
)

RULES = """
`TASKCORE_ALERTS__RULES` is a list of rules, as JSON:
`[{"name": "pod_failed", "kinds": ["Pod"], "reasons": ["Failed"], "task": {"type": "send_email", "parameters": {…}}}]`.
For each, and for its `task`:

| key | default | values |
| --- | --- | --- |
"""


def settings_page() -> str:
    notes = "".join(f"\n`{name}`: {note}\n" for name, note in _notes())
    named = "".join(_named(*one) for one in NAMED)
    rules = RULES + "".join(_rows(AlertRule, "")) + re.sub(r"(?m)^\| `", "| `task.", "".join(_rows(AlertTask, "")))
    return SETTINGS_HEAD + "".join(_rows(Settings, PREFIX)) + named + rules + notes


def _named(what: str, example: str, model: type[BaseModel]) -> str:
    head = f"\n{what}, as JSON:\n`{example}`. For each:\n\n| key | default | values |\n| --- | --- | --- |\n"
    return head + "".join(_rows(model, ""))


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper() if prefix else name}"
        if isinstance(field.default, BaseModel):
            yield from _rows(type(field.default), f"{variable}__")
        else:
            yield f"| `{variable}` | {_default(field)} | {_values(field)} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value: Any = field.get_default(call_default_factory=True)
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        listed = ", ".join(one.model_dump_json(exclude_unset=True) for one in value)
        return f"`[{listed}]`"
    if isinstance(value, tuple) and value:
        return f"`{json.dumps(value)}`"
    return "" if value in (None, (), {}, "") else f"`{value}`"


def _values(field: FieldInfo) -> str:
    kind = field.annotation
    live = ["live"] if any(isinstance(mark, Live) for mark in field.metadata) else []
    if choices := [choice for choice in get_args(kind) if isinstance(choice, str)]:
        return ", ".join([*(f"`{choice}`" for choice in choices), *live])
    bounds = [f"{word} {getattr(m, key)}" for m in field.metadata for key, word in BOUNDS if hasattr(m, key)]
    return ", ".join([_kind(str(kind)), *bounds, *live])


def _kind(annotation: str) -> str:
    return next(word for part, word in KINDS if part in annotation)


KINDS = (
    ("dict", "JSON object"),
    ("SecretStr", "text, kept secret"),
    ("Network", "JSON list of networks"),
    ("tuple", "JSON list"),
    ("Path", "path"),
    ("bool", "`true`, `false`"),
    ("int", "whole number"),
    ("float", "number"),
    ("str", "text"),
    ("AlertTask", "JSON object"),
)
BOUNDS = (("ge", "from"), ("gt", "more than"), ("le", "to"))


def _notes() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel) and (doc := type(field.default).__doc__):
            yield name, " ".join(doc.split())
    named = {"databases": DatabaseSettings, "commands": CommandSettings, "analytics.queries": QueryMetric}
    more = {"analytics.counters": CounterMetric, "alerts.rules": AlertRule, "alerts.rules[].task": AlertTask}
    for name, model in (named | more).items():
        yield name, " ".join((model.__doc__ or "").split())


def main() -> int:
    pages = {"state_machine.md": as_markdown(), "settings.md": settings_page()}
    if "--check" in sys.argv:
        stale = [name for name, text in pages.items() if (HERE / name).read_text() != text]
        print("".join(f'docs/{name} is stale: run "make docs"\n' for name in stale), end="")
        return len(stale)
    for name, text in pages.items():
        (HERE / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
