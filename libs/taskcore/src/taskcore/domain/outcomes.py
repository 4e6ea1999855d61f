"""How an attempt can end: what a plugin may return, and the verdict that the executor writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from taskcore.domain.states import Status


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Try again after `wait`. Counts as a failed attempt, so that it cannot go on for ever."""

    wait: timedelta
    error: str = "the task asked to be run again later"

    def __post_init__(self) -> None:
        if not isinstance(self.wait, timedelta):
            raise TypeError(f"RetryAfter takes a timedelta, not {type(self.wait).__name__}")


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop here: the task is not wanted any more."""

    error: str = "cancelled by its own plugin"


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail for good: another attempt would not help."""

    error: str
    reason: str = "failed_for_good"


class AttemptOutcome(StrEnum):
    """How one attempt ended, as `task_attempt` keeps it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    RETURNED = "returned"  # given back by a worker that shut down; costs nothing
    LOST = "lost"  # its worker died


class Reason(StrEnum):
    """Why a task stands as it does, where the status alone does not tell."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    FAILED_FOR_GOOD = "failed_for_good"
    BAD_PARAMETERS = "bad_parameters"
    BAD_RESULT = "bad_result"
    UNKNOWN_TYPE = "unknown_type"
    WORKER_LOST = "worker_lost"
    WORKER_STOPPED = "worker_stopped"
    CANCELLED_BY_PLUGIN = "cancelled_by_plugin"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an attempt's end means for its task. Made by the constructors below, one for each transition.

    `result` is JSON text; `wait` is set exactly when the task is to be tried again.
    """

    status: Status
    outcome: AttemptOutcome
    result: str | None = None
    error: str | None = None
    reason: str | None = None
    wait: timedelta | None = None


def succeeded(result: str | None) -> Verdict:
    return Verdict(Status.SUCCEEDED, AttemptOutcome.SUCCEEDED, result=result)


def failed(error: str, reason: str) -> Verdict:
    return Verdict(Status.FAILED, AttemptOutcome.FAILED, error=error, reason=reason)


def cancelled(error: str, reason: str) -> Verdict:
    return Verdict(Status.CANCELLED, AttemptOutcome.CANCELLED, error=error, reason=reason)


def retry_later(error: str, wait: timedelta) -> Verdict:
    return Verdict(Status.RETRYING, AttemptOutcome.FAILED, error=error, wait=wait)
