"""Settings of the processes: where they listen, how much they do at once, and how long data is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from taskcore.settings.field_types import LIVE, Age, Identifier, Port, Seconds, Section


class ApiSettings(Section):
    """The HTTP API. It has no authentication yet: a host other than loopback opens it to that network."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes serve requests."""
    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 5
    """How long the API still serves requests after SIGTERM, while `/readyz` already fails."""


class WorkerSettings(Section):
    """`taskworker run`. A worker runs up to `processes` times `threads` tasks at once."""

    processes: Annotated[int, Field(ge=1, le=256)] = 2
    """Executor processes."""
    threads: Annotated[int, Field(ge=1, le=1024)] = 8
    """Threads in each executor process."""
    prefetch_short: Annotated[int, Field(ge=0, le=1024)] = 64
    """How many short tasks an executor process may claim beyond its threads."""
    queues: tuple[str, ...] = ()
    """Queues to consume; all when empty."""
    heartbeat_s: Seconds = 5
    """Interval between heartbeats."""
    lease_s: Seconds = 30
    """How long after its last heartbeat a worker is considered dead."""
    grace_s: Seconds = 25
    """How long running tasks may continue after SIGTERM."""
    kill_after_s: Seconds = 5
    """How long a task that was interrupted may take to stop before its process is killed."""


class CoordinatorSettings(Section):
    """`taskworker coordinate`."""

    resend_after_s: Annotated[Seconds, LIVE] = 15
    """Age from which an unclaimed message can count as lost. It doubles with each resend."""
    sweep_every_s: Annotated[Seconds, LIVE] = 30
    """Interval between sweeps for tasks that are stuck."""
    fail_unknown_type_after_s: Annotated[Seconds, LIVE] = 86_400
    """How long a task waits for a worker that knows its type before it fails."""


class TypeRetention(Section):
    """How long tasks of one type are kept after they finished.

    A time that is left out is as for all types; null keeps the tasks for ever.
    """

    succeeded_s: Age = None
    failed_s: Age = None
    cancelled_s: Age = None


class RetentionSettings(Section):
    """How long data is kept. What is not set is kept for ever."""

    succeeded_s: Annotated[Age, LIVE] = None
    """Age at which succeeded tasks are deleted, counted from their end."""
    failed_s: Annotated[Age, LIVE] = None
    """Age at which failed tasks are deleted."""
    cancelled_s: Annotated[Age, LIVE] = None
    """Age at which cancelled tasks are deleted."""
    types: Annotated[dict[Identifier, TypeRetention], LIVE] = Field(default_factory=dict)
    """Other ages for some task types, such as `{"send_email": {"succeeded_s": 86400, "failed_s": null}}`."""
    history_s: Annotated[Age, LIVE] = None
    """Minimum age at which the history of deleted tasks is deleted. The oldest rows go first, up to the first row of a
    task that still exists or that another task depends on. Rows that analytics has yet to count stay for up to 30 days.
    """
    analytics_s: Annotated[Age, LIVE] = None
    """Age at which analytics samples are deleted."""
    events_s: Annotated[Age, LIVE] = None
    """Age at which Kubernetes events, and gaps between them, are deleted. At least `kubernetes.event_ttl_s` counts."""
    alerts_s: Annotated[Age, LIVE] = None
    """Age at which resolved alerts are deleted."""


class HealthSettings(Section):
    """Where every process but the API serves its health checks and metrics."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 5050
    """Port to listen on; 0 turns the server off."""


#: Words run together are a name of their own: `apikey` does not match `api_key`.
REDACTED_FIELDS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "credentials",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "cookie",
)


class LogSettings(Section):
    """Logs, which go to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    """Lines below this level are dropped."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    redacted_fields: tuple[str, ...] = REDACTED_FIELDS
    """Fields whose names contain one of these words are logged without their values, in the logs of tasks too.
    Passwords in URLs are never logged.
    """
