"""The life of a task as one table: which status follows which, and by what.

Every change that `taskcore.db` writes is one guarded UPDATE whose guard comes from here;
`docs/state_machine.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a task stands. The order is the order in which counts are printed."""

    BLOCKED = "blocked"  # waits for the tasks it depends on
    SCHEDULED = "scheduled"  # waits for its run_at
    QUEUED = "queued"  # may run; waits for a free slot of a worker
    RUNNING = "running"  # a worker holds a lease on it
    RETRYING = "retrying"  # an attempt failed; waits for the next one
    PAUSED = "paused"  # waits for somebody to resume it
    CANCELLING = "cancelling"  # a worker still holds a lease on it, and was told to stop
    SUCCEEDED = "succeeded"  # over: the plugin returned
    FAILED = "failed"  # over: no attempt is left, or none would help
    CANCELLED = "cancelled"  # over: somebody did not want it any more, or what it depends on came to nothing

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def is_claimable(self) -> bool:
        return self in CLAIMABLE


class Action(StrEnum):
    """What a person may do to a task."""

    CANCEL = "cancel"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    DELETE = "delete"


#: Has an outbox row, which entitles a worker to claim it.
CLAIMABLE = frozenset({Status.SCHEDULED, Status.QUEUED, Status.RETRYING})
#: A worker holds a lease on it.
HELD = frozenset({Status.RUNNING, Status.CANCELLING})
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
#: Neither over nor with a worker.
IDLE = frozenset(Status) - TERMINAL - HELD


@dataclass(frozen=True, slots=True)
class Transition:
    """One way from any of `sources` to `target`. `action` is set where a person may ask for it."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    when: str
    action: Action | None = None


def _of(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


SUBMIT = Transition("submit", _of(), Status.QUEUED, "a client submitted it, to run as soon as possible")
SCHEDULE = Transition("schedule", _of(), Status.SCHEDULED, "a client submitted it with a `run_at` that lies ahead")
BLOCK = Transition("block", _of(), Status.BLOCKED, "a client submitted it, and tasks that it depends on are not over")
SUBMIT_CANCELLED = Transition(
    "submit_cancelled",
    _of(),
    Status.CANCELLED,
    "a client submitted it; a task it depends on had failed or was cancelled",
)
UNBLOCK = Transition("unblock", _of(Status.BLOCKED), Status.QUEUED, "all tasks that it depends on have succeeded")
UNBLOCK_LATER = Transition("unblock_later", _of(Status.BLOCKED), Status.SCHEDULED, "the same; its `run_at` lies ahead")
CANCEL_DEPENDENT = Transition(
    "cancel_dependent",
    _of(Status.BLOCKED, Status.PAUSED),
    Status.CANCELLED,
    "a task it depends on failed or was cancelled",
)
REBLOCK = Transition(
    "reblock", _of(Status.CANCELLED), Status.BLOCKED, "the task whose end had cancelled it was retried by hand"
)
CLAIM = Transition("claim", CLAIMABLE, Status.RUNNING, "a worker took it: its outbox row is due, its type known")
SUCCEED = Transition("succeed", _of(Status.RUNNING), Status.SUCCEEDED, "the plugin returned a result")
RETRY_LATER = Transition("retry_later", _of(Status.RUNNING), Status.RETRYING, "the attempt failed; attempts are left")
FAIL = Transition("fail", _of(Status.RUNNING), Status.FAILED, "the attempt failed; none is left, or none would help")
CANCEL_SELF = Transition("cancel_self", _of(Status.RUNNING), Status.CANCELLED, "the plugin itself returned `Cancel`")
PAUSE_RUNNING = Transition(
    "pause_running", _of(Status.RUNNING), Status.PAUSED, "the plugin returned `Pause`, or its attempt ended"
)
RELEASE = Transition("release", _of(Status.RUNNING), Status.QUEUED, "its process or worker died, or shut down before")
EXHAUST = Transition(
    "exhaust", _of(Status.RUNNING), Status.FAILED, "it crashed, or was lost with its worker, too often"
)
REQUEST_CANCEL = Transition(
    "request_cancel", _of(Status.RUNNING), Status.CANCELLING, "somebody cancelled it while it ran", Action.CANCEL
)
CONFIRM_CANCEL = Transition(
    "confirm_cancel", _of(Status.CANCELLING), Status.CANCELLED, "its attempt is over, however it ended"
)
EXPIRE_UNKNOWN_TYPE = Transition(
    "expire_unknown_type", CLAIMABLE, Status.FAILED, "no live worker has known its type for too long"
)
CANCEL = Transition("cancel", IDLE, Status.CANCELLED, "somebody cancelled it while it waited", Action.CANCEL)
PAUSE = Transition("pause", IDLE - {Status.PAUSED}, Status.PAUSED, "somebody paused it while it waited", Action.PAUSE)
RESUME = Transition("resume", _of(Status.PAUSED), Status.QUEUED, "somebody resumed it", Action.RESUME)
RESUME_LATER = Transition(
    "resume_later", _of(Status.PAUSED), Status.SCHEDULED, "the same; its `run_at` lies ahead", Action.RESUME
)
RESUME_BLOCKED = Transition(
    "resume_blocked",
    _of(Status.PAUSED),
    Status.BLOCKED,
    "the same; tasks that it depends on are not over",
    Action.RESUME,
)
RETRY = Transition(
    "retry", _of(Status.FAILED, Status.CANCELLED), Status.QUEUED, "somebody asked for it again", Action.RETRY
)
RETRY_BLOCKED = Transition(
    "retry_blocked", RETRY.sources, Status.BLOCKED, "the same; tasks that it depends on are not over", Action.RETRY
)
DELETE = Transition(
    "delete",
    frozenset(Status) - HELD,
    None,
    "somebody did, or its time was up; its history stays",
    Action.DELETE,
)

TRANSITIONS = (
    SUBMIT,
    SCHEDULE,
    BLOCK,
    SUBMIT_CANCELLED,
    UNBLOCK,
    UNBLOCK_LATER,
    CANCEL_DEPENDENT,
    REBLOCK,
    CLAIM,
    SUCCEED,
    RETRY_LATER,
    FAIL,
    CANCEL_SELF,
    PAUSE_RUNNING,
    RELEASE,
    EXHAUST,
    REQUEST_CANCEL,
    CONFIRM_CANCEL,
    EXPIRE_UNKNOWN_TYPE,
    CANCEL,
    PAUSE,
    RESUME,
    RESUME_LATER,
    RESUME_BLOCKED,
    RETRY,
    RETRY_BLOCKED,
    DELETE,
)


def available_actions(
    status: Status, *, can_cancel: bool = True, can_pause: bool = False, pause_requested: bool = False
) -> tuple[Action, ...]:
    """What a person may do to a task that stands at `status`.

    `can_cancel`, `can_pause`: whether its type can be stopped, or paused, while it runs. `pause_requested`: it was
    asked to pause and has not yet; that may be taken back.
    """
    found = {t.action for t in TRANSITIONS if t.action is not None and status in t.sources}
    if status is Status.RUNNING:
        found -= set() if can_cancel else {Action.CANCEL}
        found |= {Action.RESUME} if pause_requested else {Action.PAUSE} if can_pause else set()
    return tuple(action for action in Action if action in found)


def as_markdown() -> str:
    """The table as the page `docs/state_machine.md`."""
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
