"""How an attempt can end: what a plugin may return, and the result that is written for the attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

from taskcore.domain.retry import bound_wait
from taskcore.domain.states import Status


@dataclass(frozen=True, slots=True)
class RetryAfter:
    """Run the task again after `wait`. Counts as a failed attempt, so that it cannot go on forever."""

    wait: timedelta
    error: str = "the task asked to be run again later"

    def __post_init__(self) -> None:
        if not isinstance(self.wait, timedelta):
            raise TypeError(f"RetryAfter takes a timedelta, not {type(self.wait).__name__}")


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the task from within its plugin."""

    error: str = "cancelled by its own plugin"


@dataclass(frozen=True, slots=True)
class Fail:
    """Fail permanently: another attempt would not help."""

    error: str
    reason: str = "non_retryable"


@dataclass(frozen=True, slots=True)
class Pause:
    """Pause the task. Once resumed, it gets another attempt, which finds the last checkpoint."""


class AttemptOutcome(StrEnum):
    """How an attempt ended, as stored in `task_attempt`."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"
    TIMED_OUT = "timed_out"
    RELEASED = "released"  # back to the queue without cost: its worker shut down, or another task killed its process
    LOST = "lost"  # its worker died
    CRASHED = "crashed"  # its process died by itself while running no other task


class ChargedAs(StrEnum):
    """Which of a task's counters an attempt's end increments."""

    NOTHING = "nothing"
    FAILURE = "failure"
    CRASH = "crash"
    WORKER_LOSS = "worker_loss"


class Reason(StrEnum):
    """Why a task has its status, where the status alone does not say."""

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


#: How often a task may crash its own process, and how often it may be lost with a worker that it need not have killed.
MAX_CRASHES = 3
MAX_WORKER_LOSSES = 20
#: A task whose attempts are released this often in a row, each time because its process stops, may be what stops them:
#: it runs in a process of its own next, where that counts as a crash.
RELEASES_UNTIL_ISOLATED = 3
#: The wait before another try to start a process for an attempt.
MIN_START_BACKOFF, MAX_START_BACKOFF = timedelta(seconds=5), timedelta(minutes=5)


class AttemptResult(NamedTuple):
    """How an attempt ended and what that means for its task. Use the constructors below.

    `result_json` is JSON text. `retry_in` is set if and only if the task will be retried. `isolated` makes the next
    attempt run in a process of its own, because this one may have crashed the process that it shared.
    `is_undescribed`: what the plugin raised, or its retry policy, raised itself when it was read, or the worker could
    not run the attempt.
    """

    status: Status
    outcome: AttemptOutcome
    charged_as: ChargedAs = ChargedAs.NOTHING
    result_json: str | None = None
    error: str | None = None
    reason: str | None = None
    retry_in: timedelta | None = None
    isolated: bool = False
    is_undescribed: bool = False


def succeeded(result: str | None) -> AttemptResult:
    return AttemptResult(Status.SUCCEEDED, AttemptOutcome.SUCCEEDED, result_json=result)


def failed(error: str, reason: str, outcome: AttemptOutcome = AttemptOutcome.FAILED) -> AttemptResult:
    return AttemptResult(Status.FAILED, outcome, ChargedAs.FAILURE, error=error, reason=reason)


def cancelled(error: str | None, reason: str) -> AttemptResult:
    return AttemptResult(Status.CANCELLED, AttemptOutcome.CANCELLED, error=error, reason=reason)


def retry_later(error: str, wait: timedelta, outcome: AttemptOutcome = AttemptOutcome.FAILED) -> AttemptResult:
    return AttemptResult(Status.RETRYING, outcome, ChargedAs.FAILURE, error=error, retry_in=bound_wait(wait))


def paused() -> AttemptResult:
    """The plugin returned `Pause`."""
    return AttemptResult(Status.PAUSED, AttemptOutcome.PAUSED)


def paused_on_request() -> AttemptResult:
    """Back to the queue; the settle statement pauses the task if the request to pause still stands."""
    return AttemptResult(Status.QUEUED, AttemptOutcome.PAUSED)


def released(reason: str, *, isolated: bool = False) -> AttemptResult:
    """Back to the queue at no cost."""
    return AttemptResult(Status.QUEUED, AttemptOutcome.RELEASED, reason=reason, isolated=isolated)


def worker_lost(losses: int) -> AttemptResult:
    """The attempt's worker died. `losses` counts the earlier attempts that were lost this way."""
    if losses + 1 >= MAX_WORKER_LOSSES:
        error = f"lost together with its worker {losses + 1} times"
        return AttemptResult(
            Status.FAILED, AttemptOutcome.LOST, ChargedAs.WORKER_LOSS, error=error, reason=Reason.WORKER_LOST
        )
    return AttemptResult(Status.QUEUED, AttemptOutcome.LOST, ChargedAs.WORKER_LOSS, reason=Reason.WORKER_LOST)


def could_not_start(losses: int, error: str) -> AttemptResult:
    """The worker could not run the attempt: retry with backoff, as often as an attempt may be lost."""
    result = worker_lost(losses)
    if result.status is Status.FAILED:
        return result
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
    """The attempt's process died by itself while running nothing else. `crashes` counts earlier crashes."""
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
