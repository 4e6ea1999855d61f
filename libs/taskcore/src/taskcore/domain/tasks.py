"""What clients submit, and what workers hold.

Workers create thousands of the latter per second: a NamedTuple takes less than half the time of a frozen dataclass.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
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
#: As `NAME_PATTERN`, but for names that belong to the broker and to workers. The table `queue` checks it, too.
QUEUE_NAME_PATTERN = r"^(?!amq\.|worker\.)[A-Za-z0-9_][A-Za-z0-9_.@-]*(?![\s\S])"
QUEUE_NAME_RULE = "letters, digits and _.@-, without the prefixes amq. and worker., which are reserved"


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


#: The id of a task and the number of its attempt.
AttemptKey = tuple[int, int]


class Lease(NamedTuple):
    """A worker's right to one attempt. Every write of the attempt names all three fields (a fencing token)."""

    task_id: int
    attempt: int
    token: UUID


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


class Claim(NamedTuple):
    """What is known when a task is claimed.

    The task had been due for `queued_s` by then, or for an unknown time when the claim was recovered. Traced tasks
    have `claimed_at`, by the database's clock, and `submit_traceparent`, the context of their submission.
    `message_traceparent` is the context that came with the message.
    """

    task: ClaimedTask
    queued_s: float | None
    claimed_at: datetime | None = None
    submit_traceparent: str | None = None
    message_traceparent: str | None = None


class SpanIds(NamedTuple):
    """The ids of a trace and of one of its spans, in hexadecimal digits. For an attempt that is its span `process`."""

    trace_id: str
    span_id: str


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


#: The name under which coordinators appear in the history.
COORDINATOR = "coordinator"


def worker_actor(worker_id: int) -> str:
    """Return the name under which a worker appears in the history."""
    return f"worker:{worker_id}"
