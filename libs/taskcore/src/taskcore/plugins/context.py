"""What a plugin gets to work with, and the interface of the services behind it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import httpx
import structlog
from opentelemetry.trace import Tracer
from psycopg import Connection

from taskcore.domain.backoff import Backoff
from taskcore.errors import DatabaseUnavailable
from taskcore.observability.exception_text import describe_exception
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.databases import named_database
from taskcore.plugins.network.guarded_client import http_client
from taskcore.settings import Settings

FIRST_RETRY_WAIT_S = 0.1
MAX_RETRY_WAIT_S = 2.0

A = TypeVar("A")
T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)


class AttemptServices(Protocol):
    """What one attempt may ask for. Values must be JSON, because they may come from another process."""

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Add a line to the task's log. It is stored a moment later."""

    def progress(self, value: Any) -> None:
        """Replace the attempt's progress by `value`. It is stored a moment later."""

    def save_checkpoint(self, value: Any) -> None:
        """Store `value` for the next attempt, durably, before this returns."""

    def submit(self, task: Mapping[str, Any]) -> int:
        """Submit a task, described as for `POST /tasks`. Return its id once the task is stored durably."""

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        """Return a task as `GET /tasks/{id}` shows it, or `None` if there is none."""


class NullServices:
    """For plugins that run outside of a worker: logs to the process's log, and stores nothing."""

    def __init__(self, task_id: int = 0, attempt: int = 0, task_type: str = "") -> None:
        self._ids = {"task_id": task_id, "attempt": attempt, "task_type": task_type}

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        getattr(log, level)(message, **{**self._ids, **fields})

    def progress(self, value: Any) -> None:
        pass

    def save_checkpoint(self, value: Any) -> None:
        pass

    def submit(self, task: Mapping[str, Any]) -> int:
        raise RuntimeError("tasks can be submitted in a worker only")

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return None


class AttemptLog:
    """The task's log, as `ctx.log`. Each line has a message and fields."""

    __slots__ = ("_bound", "_cancellation", "_services")

    def __init__(self, services: AttemptServices, cancellation: CancellationToken, bound: Mapping[str, Any]) -> None:
        self._services = services
        self._cancellation = cancellation
        self._bound = bound

    def bind(self, **fields: Any) -> AttemptLog:
        """Return a log that adds `fields` to each line."""
        return AttemptLog(self._services, self._cancellation, {**self._bound, **fields})

    def debug(self, message: str, **fields: Any) -> None:
        self._write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        self._write("warning", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        self._write("error", message, fields)

    def exception(self, message: str, **fields: Any) -> None:
        """Log an error with the exception that is being handled."""
        handled = sys.exception()
        text = None if handled is None else describe_exception(handled).text
        self._write("error", message, {**fields, "exception": text})

    def _write(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        with self._cancellation.shielded():
            self._services.log(level, message, {**self._bound, **fields})


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a plugin gets to work with.

    `attempt` counts the task's attempts from 1, `failures` those that failed before this one. `checkpoint` is the last
    one that an earlier attempt saved, or `None`. `tracer` makes spans of the plugin's own, which are recorded if the
    task is traced.
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
        """Whether the attempt has to stop, for any cause."""
        return self.cancellation.cause is not None

    @property
    def is_pause_requested(self) -> bool:
        """Whether a pause was requested: save a checkpoint and return `Pause`."""
        return self.cancellation.is_pause_requested

    @property
    def remaining_s(self) -> float | None:
        """The seconds until the timeout, or `None` without one."""
        deadline = self.cancellation.deadline
        return None if deadline is None else max(0.0, deadline - time.monotonic())

    def check(self) -> None:
        """Raise `Interrupted` if the attempt has to stop."""
        self.cancellation.check()

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`. Raise `Interrupted` as soon as the attempt has to stop."""
        self.cancellation.wait(seconds)

    def on_interrupt(self, callback: Callable[[], object]) -> AbstractContextManager[None]:
        """Return a context manager. When the attempt has to stop inside it, `callback` is called from another thread.

        Use it around code that waits in C, where no exception reaches it: close the socket, cancel the query. The
        callback should be quick.
        """
        return self.cancellation.on_interrupt(callback)

    def progress(self, value: Any) -> None:
        """Report how far the attempt is: any JSON of up to 16 KiB. The last value is shown and kept.

        Raises `InvalidDocument` for anything else.
        """
        self._call(self.services.progress, value)

    def save_checkpoint(self, value: Any) -> None:
        """Store `value` for the task's next attempt, durably, before this returns. It is any JSON of up to 256 KiB.

        Raises `InvalidDocument` for anything else, and `LeaseLost` if another worker holds the task by now.
        """
        self._call(self.services.save_checkpoint, value)

    def submit(self, task_type: str, parameters: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Submit another task and return its id. `fields` are those of `POST /tasks`, except `depends_on`.

        With an `idempotency_key`, a repeated call returns the same task. Without one, each call submits a task. Raises
        `InvalidTask`.
        """
        key = f"task:{self.task_id}/{uuid4()}"  # a call that is repeated after a lost reply submits one task only
        task = {"name": task_type, "type": task_type, "parameters": dict(parameters or {}), "idempotency_key": key}
        return self._call(self.services.submit, task | fields)

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        """Return a task as `GET /tasks/{id}` shows it, without `available_actions` and `trace_url`, or `None`."""
        return self._call(self.services.get, task_id)

    def database(self, name: str) -> AbstractContextManager[Connection[Any]]:
        """Return a context manager for a psycopg connection to one of the operator's databases.

        An interrupt cancels its query. Its transaction is committed at the end, or rolled back if the database is
        read-only. Raises `UnknownDatabase`, or `ConnectionError` if the database is unreachable.
        """
        return named_database(self.settings, name, self.cancellation, self.task_id, self.tracer)

    def http(self, timeout_s: float | None = None) -> AbstractContextManager[httpx.Client]:
        """Return a context manager for an HTTP client. An interrupt closes its connections.

        It works for `timeout_s` seconds in total [default: `http.timeout_s`]. It reaches public addresses and those in
        `http.allowed_networks`, and raises `taskcore.plugins.network.guarded_network.ForbiddenAddress` for others. It
        uses no proxies, and follows redirects only if asked to.
        """
        return http_client(self.settings.http, self.cancellation, timeout_s, self.tracer)

    def _call(self, service: Callable[[A], T], argument: A) -> T:
        """Call a service. No interrupt hits the call. While the database is unavailable, repeat it."""
        backoff = Backoff(FIRST_RETRY_WAIT_S, MAX_RETRY_WAIT_S)
        while True:
            try:
                with self.cancellation.shielded():
                    return service(argument)
            except DatabaseUnavailable:
                self.wait(backoff.next_s())
