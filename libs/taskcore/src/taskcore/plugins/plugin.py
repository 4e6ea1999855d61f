"""The interface of a task type, and how installed task types are found.

    class Greet(Plugin[GreetParams]):  # GreetParams(Parameters, frozen=True)
        name = "greet"

        def run(self, ctx: TaskContext, params: GreetParams) -> object:
            return f"Hello, {params.whom}"

A distribution registers the class under the entry-point group `taskcore.plugins`. Every worker that has the
distribution installed then runs tasks of this type.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, ClassVar, Generic, TypeVar, get_args, get_origin

import msgspec
import structlog

from taskcore.domain.retry import RetryPolicy
from taskcore.domain.tasks import DEFAULT_QUEUE
from taskcore.errors import InvalidPlugin
from taskcore.plugins.context import TaskContext
from taskcore.plugins.isolation import Isolation
from taskcore.plugins.plugin_checks import check_schema, check_variables, instantiate, timeout_seconds

ENTRY_POINT_GROUP = "taskcore.plugins"

log = structlog.stdlib.get_logger(__name__)


class Parameters(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Base class of the parameters of a type. Their JSON Schema is published, and checked at submit."""


P = TypeVar("P", bound=Parameters)


class Plugin(ABC, Generic[P]):
    """A task type. A process has one instance, whose `run` is called from several threads at once.

    `timeout`, a timedelta or seconds, limits each attempt, unless the task has a timeout of its own. `can_cancel`:
    running tasks can be cancelled. `can_pause`: the plugin checks `ctx.is_pause_requested`, saves a checkpoint and
    returns `Pause`. `memory_limit_bytes` limits the address space of an attempt in a process of its own (RLIMIT_AS),
    including what the worker has loaded.
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    queue: ClassVar[str] = DEFAULT_QUEUE
    retry: ClassVar[RetryPolicy] = RetryPolicy()
    timeout: ClassVar[timedelta | float | None] = None
    isolation: ClassVar[Isolation] = Isolation.THREAD
    can_cancel: ClassVar[bool] = True
    can_pause: ClassVar[bool] = False
    memory_limit_bytes: ClassVar[int | None] = None

    @abstractmethod
    def run(self, ctx: TaskContext, params: P) -> object:
        """Do the work. This may happen more than once for the same task, for example after a worker died.

        Returns a value that JSON can represent, which is stored as the task's result, or one of `RetryAfter`, `Cancel`,
        `Fail` and `Pause`. An exception fails the attempt, and the retry policy decides what comes next. `Interrupted`
        is raised when the attempt has to stop. Whatever the plugin returns or raises after that is ignored.
        """

    @classmethod
    def timeout_s(cls) -> float | None:
        """Return the timeout in seconds."""
        return timeout_seconds(cls.timeout)

    @classmethod
    def params_type(cls) -> type[Parameters]:
        """Return the P of `Plugin[P]`."""
        return _parameters_of(cls)

    @classmethod
    def schema(cls) -> dict[str, Any]:
        """Return the JSON Schema (2020-12) of the parameters, without references to other documents."""
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
            if isinstance(params, type):
                return _checked_parameters(cls, params)
    raise InvalidPlugin(f"{cls.__qualname__} does not name its parameters, as in Plugin[MyParameters]")


def _checked_parameters(cls: type[Plugin[Any]], params: type) -> type[Parameters]:
    if not issubclass(params, Parameters):
        raise InvalidPlugin(
            f"{cls.__qualname__} names {params.__qualname__} as its parameters, which must be a subclass of "
            f"taskcore.plugins.Parameters: `class {params.__name__}(Parameters, frozen=True)`"
        )
    return params


Plugins = Mapping[str, Plugin[Any]]


def load_plugins() -> Plugins:
    """Return an instance of every installed plugin, by type name. A plugin that cannot be imported is logged.

    Raises:
        InvalidPlugin: when a plugin does not implement the interface, or two have the same name.
    """
    found = []
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda e: e.name):
        try:
            found.append((entry.load(), f"{entry.value} ({_distribution_of(entry)})"))
        except Exception:  # a failing import must not stop the worker, and may raise anything
            log.exception("plugin.not_loaded", plugin=entry.name, target=entry.value)
    return _build(found)


def build_plugins(classes: Iterable[type[Plugin[Any]] | Any]) -> Plugins:
    """Return an instance of each class, by type name. Raises `InvalidPlugin` as `load_plugins` does."""
    return _build((cls, f"{getattr(cls, '__module__', '')}:{getattr(cls, '__qualname__', cls)}") for cls in classes)


def _build(found: Iterable[tuple[Any, str]]) -> Plugins:
    """Return an instance of each class, which comes with its origin."""
    plugins: dict[str, Plugin[Any]] = {}
    origins: dict[str, str] = {}
    for cls, origin in found:
        _check(cls)
        if cls.name in plugins:
            raise InvalidPlugin(f"two plugins are named {cls.name!r}: {origins[cls.name]} and {origin}")
        plugins[cls.name], origins[cls.name] = instantiate(cls), origin
    return plugins


def _distribution_of(entry: EntryPoint) -> str:
    return "an unknown distribution" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"


def _check(cls: Any) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, Plugin)):
        raise InvalidPlugin(f"{cls!r} is not a subclass of taskcore.plugins.Plugin")
    check_variables(cls)
    check_schema(cls)
