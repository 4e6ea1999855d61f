"""How an attempt can end: what a plugin may return, and the verdict that the executor writes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

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
    reason: str = "non_retryable"


@dataclass(frozen=True, slots=True)
class Pause:
    """Stop here for now: whoever resumes the task gets another attempt, which finds the last checkpoint."""


class AttemptOutcome(StrEnum):
    """How one attempt ended, as `task_attempt` keeps it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    TIMED_OUT = "timed_out"
    RELEASED = "released"  # given back: its worker shut down, or another task took its process down; costs nothing
    LOST = "lost"  # its worker died
    CRASHED = "crashed"  # the process that ran it, and nothing else, died by itself


class ChargedAs(StrEnum):
    """What an attempt's end is counted as, each in a column of its own."""

    NOTHING = "nothing"
    FAILURE = "failure"
    CRASH = "crash"
    WORKER_LOSS = "worker_loss"


class Reason(StrEnum):
    """Why a task stands as it does, where the status alone does not tell."""

    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    NON_RETRYABLE = "non_retryable"
    INVALID_PARAMETERS = "invalid_parameters"
    INVALID_RESULT = "invalid_result"
    UNKNOWN_TYPE = "unknown_type"
    WORKER_LOST = "worker_lost"
    WORKER_STOPPED = "worker_stopped"
    CLAIM_LOST = "claim_lost"
    OVERDUE = "overdue"
    CANCELLED = "cancelled"
    CANCELLED_BY_PLUGIN = "cancelled_by_plugin"
    TIMED_OUT = "timed_out"
    CRASH_LOOP = "crash_loop"
    PROCESS_CRASHED = "process_crashed"
    PROCESS_STOPPED = "process_stopped"
    DEPENDENCY_FAILED = "dependency_failed"


#: How often a task may take its own process down, and be lost with a worker that it need not have hurt.
MAX_CRASHES = 3
MAX_WORKER_LOSSES = 20
#: Until a process is tried for again that could not be had.
MIN_START_BACKOFF, MAX_START_BACKOFF = timedelta(seconds=5), timedelta(minutes=5)


class AttemptResult(NamedTuple):
    """What an attempt's end means for its task. Made by the constructors below.

    `result` is JSON text; `wait` is set exactly when the task is to be tried again. `alone`: its next attempt runs in
    a process of its own, because this one was among those that may have taken their process down.
    """

    status: Status
    outcome: AttemptOutcome
    charged_as: ChargedAs = ChargedAs.NOTHING
    result_json: str | None = None
    error: str | None = None
    reason: str | None = None
    retry_in: timedelta | None = None
    isolated: bool = False


def succeeded(result: str | None) -> AttemptResult:
    return AttemptResult(Status.SUCCEEDED, AttemptOutcome.SUCCEEDED, result_json=result)


def failed(error: str, reason: str, outcome: AttemptOutcome = AttemptOutcome.FAILED) -> AttemptResult:
    return AttemptResult(Status.FAILED, outcome, ChargedAs.FAILURE, error=error, reason=reason)


def timed_out(error: str, wait: timedelta | None) -> AttemptResult:
    """Counts as a failure; `wait` None: no attempt is left."""
    if wait is None:
        return failed(error, Reason.TIMED_OUT, AttemptOutcome.TIMED_OUT)
    return retry_later(error, wait, AttemptOutcome.TIMED_OUT)


def cancelled(error: str | None, reason: str) -> AttemptResult:
    return AttemptResult(Status.CANCELLED, AttemptOutcome.CANCELLED, error=error, reason=reason)


def retry_later(error: str, wait: timedelta, outcome: AttemptOutcome = AttemptOutcome.FAILED) -> AttemptResult:
    return AttemptResult(Status.RETRYING, outcome, ChargedAs.FAILURE, error=error, retry_in=wait)


def paused() -> AttemptResult:
    """By itself."""
    return AttemptResult(Status.PAUSED, AttemptOutcome.PAUSED)


def paused_on_request() -> AttemptResult:
    """It waits again, unless it is still to pause when this is written: who asked may have thought better of it."""
    return AttemptResult(Status.QUEUED, AttemptOutcome.PAUSED)


def released(reason: str, *, isolated: bool = False) -> AttemptResult:
    """Back to the queue, nothing spent."""
    return AttemptResult(Status.QUEUED, AttemptOutcome.RELEASED, reason=reason, isolated=isolated)


def worker_lost(losses: int) -> AttemptResult:
    """Its worker died, as `losses` did before."""
    if losses + 1 >= MAX_WORKER_LOSSES:
        error = f"lost together with its worker {losses + 1} times"
        return AttemptResult(
            Status.FAILED, AttemptOutcome.LOST, ChargedAs.WORKER_LOSS, error=error, reason=Reason.WORKER_LOST
        )
    return AttemptResult(Status.QUEUED, AttemptOutcome.LOST, ChargedAs.WORKER_LOSS, reason=Reason.WORKER_LOST)


def could_not_start(losses: int, error: str) -> AttemptResult:
    """No process could be had for it: tried again later and later, as often as it may be lost."""
    verdict = worker_lost(losses)
    if verdict.status is Status.FAILED:
        return verdict
    wait = min(MAX_START_BACKOFF, MIN_START_BACKOFF * 2**losses)
    return AttemptResult(
        Status.RETRYING,
        AttemptOutcome.LOST,
        ChargedAs.WORKER_LOSS,
        error=error,
        reason=Reason.WORKER_LOST,
        retry_in=wait,
    )


def crashed(error: str, crashes: int) -> AttemptResult:
    """It alone ran in a process that died by itself, as `crashes` did before. `error` says of what."""
    if crashes + 1 >= MAX_CRASHES:
        return AttemptResult(
            Status.FAILED, AttemptOutcome.CRASHED, ChargedAs.CRASH, error=error, reason=Reason.CRASH_LOOP
        )
    return AttemptResult(
        Status.QUEUED,
        AttemptOutcome.CRASHED,
        ChargedAs.CRASH,
        error=error,
        reason=Reason.PROCESS_CRASHED,
        isolated=True,
    )
