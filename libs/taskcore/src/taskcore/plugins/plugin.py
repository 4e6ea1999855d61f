"""The plugin interface: what a task type is, what it gets to work with, and how installed ones are found.

    class Greet(Plugin[GreetParams]):  # GreetParams(Parameters, frozen=True)
        name = "greet"

        def run(self, ctx: TaskContext, params: GreetParams) -> object:
            return f"Hello, {params.whom}"

Installed is registered: a distribution that names the class under the entry-point group `taskcore.plugins` adds
the type to every worker that has it installed.
"""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import cache
from importlib.metadata import entry_points
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec
import structlog

from taskcore.domain.retry import RetryPolicy
from taskcore.domain.tasks import DEFAULT_QUEUE, NAME_PATTERN, RESERVED_QUEUE_PREFIXES
from taskcore.errors import InvalidPlugin
from taskcore.plugins.context import TaskContext

ENTRY_POINT_GROUP = "taskcore.plugins"

log = structlog.stdlib.get_logger(__name__)


class Isolation(StrEnum):
    """Where attempts of a type run."""

    THREAD = "thread"  # beside others, in a process that lives on
    PROCESS = "process"  # each in a process of its own, which can be killed


class Parameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a type's parameters derive from; their JSON Schema is published and checked at submit."""


P = TypeVar("P", bound=Parameters)


class Plugin(ABC, Generic[P]):
    """A task type. One instance serves a whole process: `run` is called from several threads at once.

    `timeout` bounds each attempt, unless the task says otherwise. `can_cancel`: it stops when told to while it runs, by
    its signal or by force. `can_pause`: it looks at `ctx.is_pause_requested`, leaves a checkpoint and returns `Pause`.
    `memory_limit_bytes` bounds the address space of an attempt in a process of its own (RLIMIT_AS); what the worker has
    loaded counts.
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    queue: ClassVar[str] = DEFAULT_QUEUE
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    timeout: ClassVar[timedelta | None] = None
    isolation: ClassVar[Isolation] = Isolation.THREAD
    can_cancel: ClassVar[bool] = True
    can_pause: ClassVar[bool] = False
    memory_limit_bytes: ClassVar[int | None] = None

    @abstractmethod
    def run(self, ctx: TaskContext, params: P) -> object:
        """Do the work. At least once: it may run again after a worker died.

        Returns a result that JSON can hold (kept with the task), or `RetryAfter`, `Cancel`, `Fail` or `Pause`.
        Any exception fails the attempt; the retry policy says what comes next. `Interrupted` is raised in it when it
        is to stop: what it makes of that does not count.
        """

    @classmethod
    def params_type(cls) -> type[Parameters]:
        """The P of `Plugin[P]`."""
        return _parameters_of(cls)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the parameters; self-contained."""
        (schema,), definitions = msgspec.json.schema_components([cls.params_type()], ref_template="#/$defs/{name}")
        name = schema["$ref"].rpartition("/")[2]
        own = definitions.pop(name)
        return {**own, "$defs": definitions} if definitions else own


@cache
def _parameters_of(cls: type[Plugin[Any]]) -> type[Parameters]:
    for base in getattr(cls, "__orig_bases__", ()):
        origin = get_origin(base)
        if isinstance(origin, type) and issubclass(origin, Plugin):
            (params,) = get_args(base)
            if isinstance(params, type) and issubclass(params, Parameters):
                return params
    raise InvalidPlugin(f"{cls.__qualname__} does not name its parameters, as in Plugin[MyParameters]")


Plugins = Mapping[str, Plugin[Any]]


def load_plugins() -> Plugins:
    """One instance of every installed plugin, by the name of its type.

    A plugin that cannot be imported is logged and left out: the others still run.

    Raises:
        InvalidPlugin: when one does not keep to the interface, or two have the same name.
    """
    classes = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        try:
            classes.append(entry.load())
        except Exception:  # whatever a stranger's import raises must not take the worker down
            log.exception("plugin.not_loaded", plugin=entry.name, target=entry.value)
    return build_plugins(classes)


def build_plugins(classes: Iterable[type[Plugin[Any]] | Any]) -> Plugins:
    """An instance of each class, by name. Raises `InvalidPlugin` as `load_plugins` does."""
    plugins: dict[str, Plugin[Any]] = {}
    for cls in classes:
        _check(cls)
        if cls.name in plugins:
            raise InvalidPlugin(f"two plugins are named {cls.name!r}")
        plugins[cls.name] = cls()
    return plugins


def _check(cls: Any) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, Plugin)):
        raise InvalidPlugin(f"{cls!r} is not a subclass of taskcore.plugins.Plugin")
    if not re.match(NAME_PATTERN, getattr(cls, "name", "")):
        raise InvalidPlugin(f"{cls.__qualname__}.name must match {NAME_PATTERN}")
    if not re.match(NAME_PATTERN, cls.queue) or cls.queue.startswith(RESERVED_QUEUE_PREFIXES):
        raise InvalidPlugin(f"{cls.__qualname__}.queue must match {NAME_PATTERN}, and not begin with amq. or worker.")
    cls.params_type()
