"""What clients submit, and what workers hold.

Workers create thousands of the latter per second: a NamedTuple takes less than half the time of a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from taskcore.domain.outcomes import AttemptResult

MAX_NAME = 255
MAX_DESCRIPTION = 5_000
MAX_LABELS = 32
MAX_TASK_BYTES = 1024 * 1024
MAX_BATCH_BYTES = 32 * 1024 * 1024
MAX_BATCH_TASKS = 10_000
MAX_TIMEOUT_S = 365 * 86_400
MAX_DELETE_AFTER_S = 10 * 365 * 86_400
MIN_PRIORITY, MAX_PRIORITY = -100, 100
#: Ends with a look-ahead because Python's `$` also matches before a trailing newline.
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*(?![\s\S])"

DEFAULT_QUEUE = "default"
#: Queue names with these prefixes belong to the broker and to workers.
RESERVED_QUEUE_PREFIXES = ("amq.", "worker.")


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as accepted: validated, with all defaults filled in, not stored yet.

    `run_at` is None for "as soon as possible". `timeout_s` limits each attempt. `delete_after_s` counts from the task's
    end. `depends_on` are the ids of the tasks that must succeed before it may run. `idempotency_key` and `fingerprint`
    (of the request body) are set together.
    """

    name: str
    type: str
    queue: str
    parameters: dict[str, Any]
    max_attempts: int
    timeout_s: float | None = None
    delete_after_s: float | None = None
    depends_on: tuple[int, ...] = ()
    priority: int = 0
    description: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    run_at: datetime | None = None
    idempotency_key: str | None = None
    fingerprint: str | None = None
    request_id: str | None = None
    trace_context: str | None = None


class Lease(NamedTuple):
    """A worker's right to one attempt. Every write of the attempt names all three fields (a fencing token)."""

    task_id: int
    attempt: int
    token: UUID


class AttemptTrace(Protocol):
    """What follows an attempt from its claim to its settlement: see `taskcore.observability.tracing`. Ids as hexadecimal digits."""

    @property
    def trace_id(self) -> str: ...

    @property
    def span_id(self) -> str: ...

    @property
    def tracer(self) -> Any:
        """OpenTelemetry's, for the spans of what runs in it."""

    def run(self, perform: Callable[[], AttemptResult | None]) -> AttemptResult | None:
        """The plugin runs in it."""

    def add_child_spans(self, spans: bytes, dropped: int) -> None:
        """Spans that the process which it runs in tells of, and how many more there were."""

    def settled(self, started_ns: int, verdict: AttemptResult, *, was_held: bool) -> None:
        """Its end is written, as was asked at `began_ns` (of the epoch), or it was refused."""


class ClaimedTask(NamedTuple):
    """A task that a worker holds.

    `failures`, `crashes` and `worker_losses` count the earlier attempts that ended that way. `isolated`: an earlier
    attempt may have crashed its process, so this one runs in a process of its own. `checkpoint` is what an earlier
    attempt saved. `claimed_at` is the worker's monotonic clock when the reply to the claim arrived.
    """

    lease: Lease
    name: str
    type: str
    queue: str
    parameters: dict[str, Any]
    failures: int
    max_attempts: int
    claimed_at: float
    crashes: int = 0
    worker_losses: int = 0
    timeout_s: float | None = None
    isolated: bool = False
    checkpoint: Any = None
    request_id: str | None = None
    trace: AttemptTrace | None = None


class FinishedAttempt(NamedTuple):
    """An attempt that has ended and is ready to be settled.

    `waited_s` is the time from the reply to the claim to the start of the plugin, `ran_s` from there to its end, both
    in seconds of a monotonic clock; the database's clock turns them into timestamps. Both are None when another process
    settles the attempt: then it ends now.
    """

    lease: Lease
    type: str
    result: AttemptResult
    waited_s: float | None = None
    ran_s: float | None = None
    trace: AttemptTrace | None = None


def worker_actor(worker_id: int) -> str:
    """Return the name under which a worker appears in the history."""
    return f"worker:{worker_id}"
