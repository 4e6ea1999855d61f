"""What the executor would hand to a plugin: a context, and parameters out of JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from taskcore.plugins import Plugin, TaskContext
from taskcore.settings import Settings


def make_context(task_id: int = 7, **sections: Any) -> TaskContext:
    """The first attempt of a task, under the default settings but for `sections`."""
    return TaskContext(task_id=task_id, attempt=1, failures=0, settings=Settings(**sections))


def loopback_context(**http: Any) -> TaskContext:
    """One in which `http_request` may reach this machine."""
    return make_context(http={"allowed_networks": ("127.0.0.0/8", "::1/128"), "timeout_s": 20} | http)


def run(plugin: type[Plugin[Any]], ctx: TaskContext, **parameters: Any) -> Any:
    """The plugin's outcome. A result has been through JSON, as the client's will have been."""
    outcome = plugin().run(ctx, parse(plugin, **parameters))
    return json.loads(msgspec.json.encode(outcome)) if isinstance(outcome, dict) else outcome


def parse(plugin: type[Plugin[Any]], **parameters: Any) -> Any:
    """The parameters as the executor converts them. Raises `msgspec.ValidationError`."""
    return msgspec.convert(parameters, plugin.params_type())
