"""The life of a task as one table: which status follows which, and when.

The guard of every UPDATE that changes a status comes from here, and `docs/state_machine.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """The status of a task, in the order in which counts are listed."""

    BLOCKED = "blocked"  # waits for the tasks it depends on
    SCHEDULED = "scheduled"  # waits for its run_at
    QUEUED = "queued"  # may run; waits for a free slot of a worker
    RUNNING = "running"  # a worker holds a lease on it
    RETRYING = "retrying"  # an attempt failed; waits for the next one
    PAUSED = "paused"  # waits to be resumed
    CANCELLING = "cancelling"  # a worker still holds a lease on it, and has been asked to stop
    SUCCEEDED = "succeeded"  # finished: the plugin returned
    FAILED = "failed"  # finished: no attempt is left, or another would not help
    CANCELLED = "cancelled"  # finished: on request, or because a task it depends on failed or was cancelled

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def is_claimable(self) -> bool:
        return self in CLAIMABLE


class Action(StrEnum):
    """What a user may do to a task."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


#: The task has an outbox row, which entitles a worker to claim it.
CLAIMABLE = frozenset({Status.SCHEDULED, Status.QUEUED, Status.RETRYING})
#: A worker holds a lease on it.
HELD = frozenset({Status.RUNNING, Status.CANCELLING})
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
#: Neither finished nor held by a worker.
IDLE = frozenset(Status) - TERMINAL - HELD


@dataclass(frozen=True, slots=True)
class Transition:
    """A change from any of `sources` to `target`. `action` is the user action that requests it, if any."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    when: str
    action: Action | None = None


def _of(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


SUBMIT = Transition("submit", _of(), Status.QUEUED, "a client submitted it, to run as soon as possible")
SCHEDULE = Transition("schedule", _of(), Status.SCHEDULED, "a client submitted it with a `run_at` in the future")
BLOCK = Transition("block", _of(), Status.BLOCKED, "a client submitted it; a task it depends on is unfinished")
SUBMIT_CANCELLED = Transition(
    "submit_cancelled",
    _of(),
    Status.CANCELLED,
    "a client submitted it; a task it depends on had already failed or been cancelled",
)
UNBLOCK = Transition("unblock", _of(Status.BLOCKED), Status.QUEUED, "all tasks it depends on have succeeded")
UNBLOCK_LATER = Transition("unblock_later", UNBLOCK.sources, Status.SCHEDULED, "the same; `run_at` is in the future")
CANCEL_DEPENDENT = Transition(
    "cancel_dependent",
    _of(Status.BLOCKED, Status.PAUSED),
    Status.CANCELLED,
    "a task it depends on failed or was cancelled",
)
REBLOCK = Transition(
    "reblock", _of(Status.CANCELLED), Status.BLOCKED, "a user retried the task whose end had cancelled this one"
)
CLAIM = Transition(
    "claim", CLAIMABLE, Status.RUNNING, "a worker that knows its type claimed it; its outbox row was due"
)
SUCCEED = Transition("succeed", _of(Status.RUNNING), Status.SUCCEEDED, "the plugin returned a result")
RETRY_LATER = Transition("retry_later", _of(Status.RUNNING), Status.RETRYING, "the attempt failed; attempts are left")
FAIL = Transition(
    "fail", _of(Status.RUNNING), Status.FAILED, "the attempt failed; none is left, or another would not help"
)
CANCEL_SELF = Transition("cancel_self", _of(Status.RUNNING), Status.CANCELLED, "the plugin returned `Cancel`")
PAUSE_RUNNING = Transition(
    "pause_running",
    _of(Status.RUNNING),
    Status.PAUSED,
    "the plugin returned `Pause`, or the attempt ended after a request to pause",
)
RELEASE = Transition(
    "release", _of(Status.RUNNING), Status.QUEUED, "its process or worker died, or shut down before the attempt ended"
)
EXHAUST = Transition(
    "exhaust", _of(Status.RUNNING), Status.FAILED, "it crashed, or was lost with its worker, too many times"
)
REQUEST_CANCEL = Transition(
    "request_cancel", _of(Status.RUNNING), Status.CANCELLING, "a user cancelled it while it was running", Action.CANCEL
)
CONFIRM_CANCEL = Transition(
    "confirm_cancel", _of(Status.CANCELLING), Status.CANCELLED, "its attempt ended, in whatever way"
)
REQUEST_PAUSE = Transition(
    "request_pause", _of(Status.RUNNING), Status.RUNNING, "a user paused it while it was running"
)
WITHDRAW_PAUSE = Transition(
    "withdraw_pause", REQUEST_PAUSE.sources, Status.RUNNING, "a user resumed it before its attempt had paused"
)
EXPIRE_UNKNOWN_TYPE = Transition(
    "expire_unknown_type", CLAIMABLE, Status.FAILED, "no live worker has known its type for too long"
)
CANCEL = Transition("cancel", IDLE, Status.CANCELLED, "a user cancelled it while it was waiting", Action.CANCEL)
PAUSE = Transition(
    "pause", IDLE - {Status.PAUSED}, Status.PAUSED, "a user paused it while it was waiting", Action.PAUSE
)
RESUME = Transition("resume", _of(Status.PAUSED), Status.QUEUED, "a user resumed it", Action.RESUME)
RESUME_LATER = Transition(
    "resume_later", RESUME.sources, Status.SCHEDULED, "the same; `run_at` is in the future", Action.RESUME
)
RESUME_BLOCKED = Transition(
    "resume_blocked", RESUME.sources, Status.BLOCKED, "the same; a task it depends on is unfinished", Action.RESUME
)
RETRY = Transition("retry", _of(Status.FAILED, Status.CANCELLED), Status.QUEUED, "a user retried it", Action.RETRY)
RETRY_BLOCKED = Transition(
    "retry_blocked", RETRY.sources, Status.BLOCKED, "the same; a task it depends on is unfinished", Action.RETRY
)
DELETE = Transition(
    "delete",
    frozenset(Status) - HELD,
    None,
    "a user deleted it, or its retention time ended; its history stays",
    Action.DELETE,
)

#: All of the above, in this order.
TRANSITIONS = tuple(value for value in tuple(globals().values()) if isinstance(value, Transition))


def available_actions(
    status: Status, *, can_cancel: bool = True, can_pause: bool = False, pause_requested: bool = False
) -> tuple[Action, ...]:
    """Return what a user may do to a task that has `status`.

    `can_cancel`, `can_pause`: whether its type can be cancelled or paused while it runs. `pause_requested`: it has been
    asked to pause and has not paused yet, so the request can be withdrawn.
    """
    found = {t.action for t in TRANSITIONS if t.action is not None and status in t.sources}
    if status is Status.RUNNING:
        found -= set() if can_cancel else {Action.CANCEL}
        found |= {Action.RESUME} if pause_requested else {Action.PAUSE} if can_pause else set()
    return tuple(action for action in Action if action in found)


def as_markdown() -> str:
    """Return the table as the page `docs/state_machine.md`."""
    head = (
        "# The states of a task\n\n"
        "Generated from `libs/taskcore/src/taskcore/domain/states.py` by `make docs`; do not edit.\n\n"
        "| transition | from | to | when |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(_row(t) for t in TRANSITIONS)


def _row(transition: Transition) -> str:
    sources = ", ".join(f"`{s}`" for s in Status if s in transition.sources) or "-"
    target = f"`{transition.target}`" if transition.target else "-"
    return f"| {transition.name} | {sources} | {target} | {transition.when} |\n"
