"""The settings of the processes: where they listen, how much they do at once, how long they keep things."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from taskcore.settings.field_types import LIVE, Age, Identifier, Port, Seconds, Section


class ApiSettings(Section):
    """Where the API listens. It has no authentication yet: a host other than loopback opens it to that network.

    `drain_s`: how long it goes on answering after it was told to stop, while `/readyz` says that it is about to.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 5


class WorkerSettings(Section):
    """`processes` times `threads` tasks run at once.

    `prefetch_short`: how many short tasks a process may claim beyond its threads. `queues` (JSON list): empty means all.
    `lease_s`: how long after its last heartbeat a worker is taken for dead. `grace_s`: what running tasks get to end in
    when the worker stops. `kill_after_s`: what a task that was told to stop gets before its process is killed.
    """

    processes: Annotated[int, Field(ge=1, le=256)] = 2
    threads: Annotated[int, Field(ge=1, le=1024)] = 8
    prefetch_short: Annotated[int, Field(ge=0, le=1024)] = 64
    queues: tuple[str, ...] = ()
    heartbeat_s: Seconds = 5
    lease_s: Seconds = 30
    grace_s: Seconds = 25
    kill_after_s: Seconds = 5


class CoordinatorSettings(Section):
    """`resend_after_s`: how old an unclaimed message must be before it can count as lost.

    `fail_unknown_type_after_s`: how long a task waits for a worker that knows its type before it fails.
    """

    resend_after_s: Annotated[Seconds, LIVE] = 15
    sweep_every_s: Annotated[Seconds, LIVE] = 30
    fail_unknown_type_after_s: Annotated[Seconds, LIVE] = 86_400


class TypeRetention(Section):
    """How long tasks of one type are kept after their end. What is left out is as for all types; null: for ever."""

    succeeded_s: Age = None
    failed_s: Age = None
    cancelled_s: Age = None


class RetentionSettings(Section):
    """How long tasks are kept after their end, in seconds; nothing set: for ever.

    `types`: other times for some types, as `{"send_email": {"succeeded_s": 86400, "failed_s": null}}`.
    `history_s`: how long the history of tasks that were deleted is kept, at least. The oldest goes first, up to the
    first row of a task that still exists, or on which one depends; and for up to 30 days what analytics, once it has
    begun, has yet to count. `analytics_s`, `events_s` and `alerts_s`: how long samples, Kubernetes events (with what is
    known of gaps in them) and alerts that are resolved are kept. Events stay for at least `kubernetes.event_ttl_s`.
    """

    succeeded_s: Annotated[Age, LIVE] = None
    failed_s: Annotated[Age, LIVE] = None
    cancelled_s: Annotated[Age, LIVE] = None
    types: Annotated[dict[Identifier, TypeRetention], LIVE] = Field(default_factory=dict)
    history_s: Annotated[Age, LIVE] = None
    analytics_s: Annotated[Age, LIVE] = None
    events_s: Annotated[Age, LIVE] = None
    alerts_s: Annotated[Age, LIVE] = None


class HealthSettings(Section):
    """`port` 0 turns it off."""

    host: str = "127.0.0.1"
    port: Port = 5050


#: Where one is of several words, a name in which they are run together is another one.
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
    """`auto` is readable on a terminal and JSON elsewhere.

    `masked` (JSON list): fields with these words in their names are logged without their values, in the logs of tasks
    too. Passwords in URLs never are.
    """

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    redacted_fields: tuple[str, ...] = REDACTED_FIELDS
