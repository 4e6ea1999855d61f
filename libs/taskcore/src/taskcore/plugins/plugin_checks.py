"""The checks of a plugin class when it is loaded, so that a mistake shows before a task runs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from numbers import Real
from typing import Any

from taskcore.domain.retry import RetryPolicy
from taskcore.domain.tasks import (
    MAX_DESCRIPTION,
    MAX_NAME,
    MAX_TIMEOUT_S,
    NAME_PATTERN,
    QUEUE_NAME_PATTERN,
    QUEUE_NAME_RULE,
)
from taskcore.errors import InvalidPlugin
from taskcore.observability.exception_text import describe_object, summarize_exception
from taskcore.plugins.isolation import Isolation


def check_variables(cls: Any) -> None:
    """Check the class variables. Raises `InvalidPlugin` for the first that is wrong."""
    for name, (is_valid, wanted) in _VARIABLES.items():
        value = inspect.getattr_static(cls, name, None)
        if not is_valid(value):
            raise InvalidPlugin(f"{cls.__qualname__}.{name} must be {wanted}, not {describe_object(value)}")


def check_schema(cls: Any) -> None:
    """Check that the parameters have a JSON Schema. Raises `InvalidPlugin`."""
    try:
        cls.schema()
    except InvalidPlugin:
        raise
    except Exception as exc:  # msgspec raises what it likes, and a type of the plugin's own may raise anything
        raise InvalidPlugin(f"{cls.__qualname__}'s parameters have no JSON Schema: {summarize_exception(exc)}") from exc


def instantiate(cls: Any) -> Any:
    """Return an instance, whose `run` can be called. Raises `InvalidPlugin`."""
    try:
        plugin = cls()
    except Exception as exc:
        raise InvalidPlugin(f"{cls.__qualname__} cannot be instantiated: {summarize_exception(exc)}") from exc
    _check_run(cls, plugin.run)
    return plugin


def timeout_seconds(timeout: timedelta | float | None) -> float | None:
    """Return a timeout, which is a number of seconds if it is not a timedelta, in seconds."""
    return timeout.total_seconds() if isinstance(timeout, timedelta) else timeout


def _check_run(cls: Any, run: Any) -> None:
    if inspect.iscoroutinefunction(run) or inspect.isasyncgenfunction(run):
        raise InvalidPlugin(
            f"{cls.__qualname__}.run is a coroutine function, which no worker awaits; "
            "define it with `def`, and call `asyncio.run` inside"
        )
    if inspect.isgeneratorfunction(run):
        raise InvalidPlugin(
            f"{cls.__qualname__}.run is a generator function, which never runs; return a result instead"
        )
    try:
        inspect.signature(run).bind(None, None)
    except (TypeError, ValueError) as exc:
        raise InvalidPlugin(f"{cls.__qualname__}.run must take (self, ctx, params): {exc}") from exc


def _is_name(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME and re.match(NAME_PATTERN, value) is not None


def _is_queue(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME and re.match(QUEUE_NAME_PATTERN, value) is not None


def _is_description(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_DESCRIPTION and "\0" not in value


def _is_timeout(value: Any) -> bool:
    if value is None:
        return True
    is_duration = isinstance(value, timedelta) or (isinstance(value, Real) and not isinstance(value, bool))
    return is_duration and 0 < (timeout_seconds(value) or 0) <= MAX_TIMEOUT_S


def _is_bool(value: object) -> bool:
    return isinstance(value, bool)


def _is_memory_limit(value: object) -> bool:
    return value is None or (type(value) is int and 0 < value < 2**63)


_VARIABLES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, f"text that matches {NAME_PATTERN}, of up to {MAX_NAME} characters"),
    "description": (_is_description, f"text of up to {MAX_DESCRIPTION:,} characters"),
    "queue": (_is_queue, f"a queue's name ({QUEUE_NAME_RULE}), of up to {MAX_NAME} characters"),
    "retry": (lambda value: isinstance(value, RetryPolicy), "a RetryPolicy"),
    "timeout": (_is_timeout, f"a timedelta or a number of seconds, above 0 and up to {MAX_TIMEOUT_S:,} s, or None"),
    "isolation": (lambda value: isinstance(value, Isolation), "Isolation.THREAD or Isolation.PROCESS"),
    "can_cancel": (_is_bool, "True or False"),
    "can_pause": (_is_bool, "True or False"),
    "memory_limit_bytes": (_is_memory_limit, "a positive number of bytes, or None"),
}
