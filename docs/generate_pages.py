"""Generates the pages that repeat the code: `docs/state_machine.md` and `docs/settings.md`. --check compares them."""

from __future__ import annotations

import inspect
import json
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

## Where do settings come from?

Each process reads its settings once, when it starts, from these layers. Later ones win:

1. defaults;
2. a YAML file, named by `TASKCORE_CONFIG`;
3. environment variables;
4. a directory of secrets, named by `TASKCORE_SECRETS_DIR`. It holds one file for each setting, named like the variable
   in lower case without the prefix: `smtp__password`.

The variable `TASKCORE_SMTP__HOST` is `smtp: {host: …}` in YAML. Lists and objects are JSON in variables. Durations are
in seconds. An invalid setting stops the process with a message that names it and does not show its value.

## How do I change a setting while processes run?

Settings that are marked *live* can be changed by `task-cli setting set log.level debug` or by
`PUT /api/v1/settings/log.level` (the name of `TASKCORE_LOG__LEVEL`). The database keeps the value, which wins over all
layers and takes effect in every process within seconds.
"""

#: Where items of a setting are named or listed: its name, the model of an item, and an example.
ITEMS: tuple[tuple[str, type[BaseModel], str], ...] = (
    ("databases", DatabaseSettings, '{"reporting": {"url": "postgresql://…", "read_only": true}}'),
    (
        "commands",
        CommandSettings,
        '{"backup": {"argv": ["/usr/bin/pg_dump", "--schema-only"], "max_arguments": 1, "timeout_s": 600}}',
    ),
    (
        "analytics.queries",
        QueryMetric,
        '{"active_users": {"database": "shop", "sql": "SELECT count(*) FROM users WHERE active"}}',
    ),
    (
        "analytics.counters",
        CounterMetric,
        '{"instances": {"url": "https://shop.example/stats", "pointer": "/instances/active"}}',
    ),
    (
        "alerts.rules",
        AlertRule,
        '[{"name": "pod_failed", "kinds": ["Pod"], "reasons": ["Failed"], "task": {"type": "send_email", …}}]',
    ),
    ("alerts.rules[].task", AlertTask, '{"type": "send_email", "parameters": {"subject": "$rule: $object", …}}'),
)


def settings_page() -> str:
    sections = {name: type(f.default) for name, f in Settings.model_fields.items() if isinstance(f.default, BaseModel)}
    general = [name for name in Settings.model_fields if name not in sections]
    return "".join(
        (
            SETTINGS_HEAD,
            "\n## General\n",
            *_table(Settings, "variable", PREFIX, general),
            *(
                _section(f"`{name}`", model, "variable", f"{PREFIX}{name.upper()}__")
                for name, model in sections.items()
            ),
            *(_section(f"`{name}`: each item", model, "key", "", example) for name, model, example in ITEMS),
        )
    )


def _section(title: str, model: type[BaseModel], head: str, prefix: str, example: str = "") -> str:
    text = " ".join((inspect.getdoc(model) or "").split())
    shown = f"\n```json\n{example}\n```\n" if example else ""
    return f"\n## {title}\n\n{text}\n{shown}" + "".join(_table(model, head, prefix, list(model.model_fields)))


def _table(model: type[BaseModel], head: str, prefix: str, names: list[str]) -> Iterator[str]:
    yield f"\n| {head} | default | values | meaning |\n| --- | --- | --- | --- |\n"
    for name in names:
        field = model.model_fields[name]
        variable = f"{prefix}{name.upper() if prefix else name}"
        meaning = " ".join((field.description or "").split())
        yield f"| `{variable}` | {_default(field)} | {_values(field)} | {meaning} |\n"


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
        return f"`{json.dumps(value, default=str)}`"
    return "" if value in (None, (), {}, "") else f"`{value}`"


def _values(field: FieldInfo) -> str:
    kind = field.annotation
    live = ["live"] if any(isinstance(mark, Live) for mark in field.metadata) else []
    if choices := [choice for choice in get_args(kind) if isinstance(choice, str)]:
        return ", ".join([*(f"`{choice}`" for choice in choices), *live])
    return ", ".join([" ".join([_kind(str(kind)), *_bounds(field)]), *live])


def _bounds(field: FieldInfo) -> list[str]:
    """Return the narrowest bounds: a type has some, and its use in a field may have narrower ones."""
    constraints = list(_constraints(field))
    lowest = max(((getattr(c, key), word) for c in constraints for key, word in LOW if hasattr(c, key)), default=None)
    highest = min((c.le for c in constraints if hasattr(c, "le")), default=None)
    low = [] if lowest is None else [f"{lowest[1]} {lowest[0]}"]
    return low if highest is None else [*low, f"up to {highest}"]


def _constraints(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    for alternative in get_args(field.annotation):  # of a value that may be null
        for mark in getattr(alternative, "__metadata__", ()):
            yield from getattr(mark, "metadata", ())


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
LOW = (("ge", "from"), ("gt", "above"))


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
