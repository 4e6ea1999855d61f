"""The life of a task as one table: which status follows which, and by what.

Every change that `taskcore.db` writes is one guarded UPDATE whose guard comes from here;
`docs/state_machine.md` is generated from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a task stands. The order is the order in which counts are printed."""

    SCHEDULED = "scheduled"  # waits for its run_at
    QUEUED = "queued"  # may run; waits for a free slot of a worker
    RUNNING = "running"  # a worker holds a lease on it
    RETRYING = "retrying"  # an attempt failed; waits for the next one
    SUCCEEDED = "succeeded"  # over: the plugin returned
    FAILED = "failed"  # over: no attempt is left, or none would help
    CANCELLED = "cancelled"  # over: somebody did not want it any more

    @property
    def is_terminal(self) -> bool:
        return self in TERMINAL

    @property
    def is_waiting(self) -> bool:
        return self in WAITING


class Action(StrEnum):
    """What a person may do to a task."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


WAITING = frozenset({Status.SCHEDULED, Status.QUEUED, Status.RETRYING})
TERMINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.CANCELLED})
ACTIVE = frozenset(Status) - TERMINAL


@dataclass(frozen=True, slots=True)
class Transition:
    """One way from any of `sources` to `target`. `action` is set where a person may ask for it."""

    name: str
    sources: frozenset[Status]
    target: Status | None
    why: str
    action: Action | None = None


def _of(*statuses: Status) -> frozenset[Status]:
    return frozenset(statuses)


SUBMIT = Transition("submit", _of(), Status.QUEUED, "a client submitted it, to run as soon as possible")
SCHEDULE = Transition("schedule", _of(), Status.SCHEDULED, "a client submitted it with a `run_at` that lies ahead")
CLAIM = Transition("claim", WAITING, Status.RUNNING, "a worker took it: its outbox row is due, its type known")
SUCCEED = Transition("succeed", _of(Status.RUNNING), Status.SUCCEEDED, "the plugin returned a result")
RETRY_LATER = Transition("retry_later", _of(Status.RUNNING), Status.RETRYING, "the attempt failed; attempts are left")
FAIL = Transition("fail", _of(Status.RUNNING), Status.FAILED, "the attempt failed; none is left, or none would help")
GIVE_UP = Transition("give_up", WAITING, Status.FAILED, "no live worker has known its type for too long")
STOP = Transition("stop", _of(Status.RUNNING), Status.CANCELLED, "the plugin itself returned `Cancel`")
RETURN = Transition("return", _of(Status.RUNNING), Status.QUEUED, "its worker died, or shut down before it was done")
ABANDON = Transition("abandon", _of(Status.RUNNING), Status.FAILED, "lost together with its worker too many times")
CANCEL = Transition("cancel", WAITING, Status.CANCELLED, "somebody cancelled it while it waited", Action.CANCEL)
RETRY = Transition(
    "retry", _of(Status.FAILED, Status.CANCELLED), Status.QUEUED, "somebody asked for it again", Action.RETRY
)
DELETE = Transition(
    "delete", frozenset(Status) - {Status.RUNNING}, None, "somebody deleted it; its history stays", Action.DELETE
)

TRANSITIONS = (
    SUBMIT,
    SCHEDULE,
    CLAIM,
    SUCCEED,
    RETRY_LATER,
    FAIL,
    STOP,
    RETURN,
    ABANDON,
    GIVE_UP,
    CANCEL,
    RETRY,
    DELETE,
)


def available_actions(status: Status) -> tuple[Action, ...]:
    """What a person may do to a task that stands at `status`."""
    return tuple(t.action for t in TRANSITIONS if t.action is not None and status in t.sources)


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
    return f"| {transition.name} | {sources} | {target} | {transition.why} |\n"
