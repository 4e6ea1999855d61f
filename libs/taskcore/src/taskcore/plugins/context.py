"""What an attempt gets to work with, and the seam behind which its services are."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import httpx
import structlog
from opentelemetry.trace import Tracer
from psycopg import Connection

from taskcore.errors import DatabaseUnavailable
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.databases import named_database
from taskcore.plugins.network.guarded_client import http_client
from taskcore.settings import Settings

MAX_WAIT_S = 2.0

A = TypeVar("A")
T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)


class AttemptServices(Protocol):
    """What one attempt may ask of the world outside. Values are what JSON can hold: they may cross to a process."""

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Add a line to the task's log, soon."""

    def progress(self, value: Any) -> None:
        """Show `value` as how far the attempt is, soon; only the last one counts."""

    def save_checkpoint(self, value: Any) -> None:
        """Keep `value` for the next attempt. Returns once that is durable."""

    def submit(self, task: Mapping[str, Any]) -> int:
        """Submit another task, described as for `POST /tasks`. Returns its id once that is durable."""

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        """Another task as `GET /tasks/{id}` shows it; None where there is none."""


class NullServices:
    """For attempts outside of a worker: logs to the process's log, and keeps nothing."""

    def __init__(self, task_id: int = 0, attempt: int = 0, task_type: str = "") -> None:
        self._of = {"task_id": task_id, "attempt": attempt, "task_type": task_type}

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        getattr(log, level)(message, **{**self._of, **fields})

    def progress(self, value: Any) -> None:
        pass

    def save_checkpoint(self, value: Any) -> None:
        pass

    def submit(self, task: Mapping[str, Any]) -> int:
        raise RuntimeError("outside of a worker there is nowhere to submit to")

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return None


class AttemptLog:
    """`ctx.log`: lines of the attempt, with fields."""

    __slots__ = ("_bound", "_interruption", "_services")

    def __init__(self, services: AttemptServices, interruption: CancellationToken, bound: Mapping[str, Any]) -> None:
        self._services = services
        self._interruption = interruption
        self._bound = bound

    def bind(self, **fields: Any) -> AttemptLog:
        """The same log; its lines have `fields` too."""
        return AttemptLog(self._services, self._interruption, {**self._bound, **fields})

    def debug(self, message: str, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write("error", message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """An error, with the exception that is being handled."""
        self._write("error", message, {**fields, "exception": traceback.format_exc()})

    def _write(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        with self._interruption.shielded():
            self._services.log(level, message, {**self._bound, **fields})


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What an attempt may know and use.

    `attempt` counts the task's runs from 1; `failures` those that failed before this one. `checkpoint` is the last one
    that an earlier attempt saved, or None. `tracer` makes spans of the plugin's own within that of its run, where the
    task is followed; elsewhere nothing comes of them.
    """

    task_id: int
    attempt: int
    failures: int
    settings: Settings
    checkpoint: Any = None
    cancellation: CancellationToken = field(default_factory=CancellationToken, repr=False)
    services: AttemptServices = field(default_factory=NullServices, repr=False)
    tracer: Tracer = field(default=NO_TRACER, repr=False)

    @property
    def log(self) -> AttemptLog:
        return AttemptLog(self.services, self.cancellation, {})

    @property
    def is_cancelled(self) -> bool:
        """Whether the attempt is to stop, for whatever cause."""
        return self.cancellation.cause is not None

    @property
    def is_pause_requested(self) -> bool:
        """Whether somebody asked to pause it: leave a checkpoint and return `Pause`."""
        return self.cancellation.is_pause_requested

    @property
    def remaining_s(self) -> float | None:
        """The seconds until its timeout ends it; None where it has none."""
        deadline = self.cancellation.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def check(self) -> None:
        """Raise `Interrupted` where the attempt is to stop."""
        self.cancellation.check()

    def wait(self, seconds: float) -> None:
        """Sleep, but not on when the attempt is to stop: then `Interrupted` is raised."""
        self.cancellation.wait(seconds)

    def on_interrupt(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """A context in which `callback` is called, from another thread, when the attempt is to stop.

        For what waits where no exception can reach it: close the socket, cancel the query. It should not take long.
        """
        return self.cancellation.on_interrupt(callback)

    def progress(self, value: Any) -> None:
        """Tell how far it is: any JSON of up to 16 KiB; the last value is shown and kept.

        Raises `InvalidDocument` for anything else.
        """
        self._call(self.services.progress, value)

    def save_checkpoint(self, value: Any) -> None:
        """Keep `value`, any JSON of up to 256 KiB, for the task's next attempt: durably, before this returns.

        Raises `InvalidDocument` for anything else, and `LeaseLost` where the task is held by another meanwhile.
        """
        self._call(self.services.save_checkpoint, value)

    def submit(self, task_type: str, parameters: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Submit another task, `fields` as for `POST /tasks` but for `depends_on`. Returns its id.

        With an `idempotency_key` of its own among `fields`, whatever repeats the call finds the same task; without one
        each call stores one. Raises `InvalidTask`.
        """
        key = f"task:{self.task_id}/{uuid4()}"  # so that what is asked again, its answer being lost, is stored once
        asked = {"name": task_type, "type": task_type, "parameters": dict(parameters or {}), "idempotency_key": key}
        return self._call(self.services.submit, asked | fields)

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        """Another task as `GET /tasks/{id}` shows it, without its actions and its link; None where there is none."""
        return self._call(self.services.get, task_id)

    def database(self, name: str) -> AbstractContextManager[Connection[Any]]:
        """A psycopg connection to one of the operator's databases; an interrupt cancels its query.

        Its transaction is committed at the end of the context, or rolled back where the database is read-only. Raises
        `UnknownDatabase`, and `ConnectionError` where it cannot be reached.
        """
        return named_database(self.settings, name, self.cancellation, self.task_id, self.tracer)

    def http(self, timeout_s: float | None = None) -> AbstractContextManager[httpx.Client]:
        """An HTTP client, for `timeout_s` seconds in all (`http.timeout_s`); an interrupt cuts its connections.

        It reaches public addresses and those that the operator allows, by `http.allowed_networks`; for others it raises
        `taskcore.plugins.network.guarded_network.ForbiddenAddress`. It follows redirects where it is told to, and no proxies.
        """
        return http_client(self.settings.http, self.cancellation, timeout_s, self.tracer)

    def _call(self, service: Callable[[A], T], argument: A) -> T:
        """Whole, whatever interrupts the attempt meanwhile. While the database is away: again and again."""
        wait_s = 0.1
        while True:
            try:
                with self.cancellation.shielded():
                    return service(argument)
            except DatabaseUnavailable:
                self.wait(wait_s)
            wait_s = min(MAX_WAIT_S, wait_s * 2)
