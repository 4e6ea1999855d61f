"""How the attempts of an executor process end when the process does. No I/O.

A crash counts only against a task that ran alone in a process that died by itself. Where several ran, each runs next in
a process of its own, so that the culprit identifies itself. An unresponsive process is treated the same way, since no
task can be blamed for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from taskcore.db.workers.leases import HeldAttempt
from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult, Reason
from taskcore.domain.tasks import AttemptKey, FinishedAttempt
from taskcore.execution.attempt_failure import failed_attempt
from taskcore.execution.exit_status import describe_exit
from taskcore.plugins import Plugins


class ExitKind(StrEnum):
    """Why the process ended."""

    CRASHED = "crashed"  # by itself
    STUCK = "stuck"  # killed: one of its attempts did not stop
    UNRESPONSIVE = "unresponsive"  # killed: it reported nothing any more, and no attempt can be blamed
    FENCED = "fenced"  # killed: the worker's lease was about to end
    DRAINED = "drained"  # it stopped as asked, or was killed at the end of the grace


@dataclass(frozen=True, slots=True)
class ExecutorExit:
    """How an executor process ended. `running`: the attempts in its threads; `timed_out`: those past their deadline."""

    incarnation: int
    kind: ExitKind
    exit_code: int | None
    running: frozenset[AttemptKey] = frozenset()
    timed_out: frozenset[AttemptKey] = frozenset()


def plan_results(exit_: ExecutorExit, held: Sequence[HeldAttempt], plugins: Plugins) -> list[FinishedAttempt]:
    """Return the results, for `settlements.settle`, of the attempts that the process held."""
    return [attempt.finish(_plan_result(exit_, attempt, plugins)) for attempt in held]


def _plan_result(exit_: ExecutorExit, attempt: HeldAttempt, plugins: Plugins) -> AttemptResult:
    match exit_.kind:
        case ExitKind.FENCED:
            return outcomes.worker_lost(attempt.worker_losses)
        case ExitKind.DRAINED:
            return outcomes.released(Reason.WORKER_STOPPED)
        case ExitKind.STUCK if attempt.key in exit_.timed_out:
            return _timed_out(attempt, plugins)
        case ExitKind.CRASHED if exit_.running == {attempt.key}:
            return outcomes.crashed(f"its process {describe_exit(exit_.exit_code)}", attempt.crashes)
        case ExitKind.CRASHED:
            return outcomes.released(Reason.PROCESS_CRASHED, isolated=attempt.key in exit_.running)
        case ExitKind.UNRESPONSIVE:
            return outcomes.released(Reason.PROCESS_STOPPED, isolated=attempt.key in exit_.running)
        case _:
            return outcomes.released(Reason.PROCESS_STOPPED)


def _timed_out(attempt: HeldAttempt, plugins: Plugins) -> AttemptResult:
    return failed_attempt(
        plugins[attempt.type].retry,
        attempt.max_attempts,
        attempt.failures + 1,
        "took longer than its timeout, and its process had to be killed",
        reason=Reason.TIMED_OUT,
        outcome=AttemptOutcome.TIMED_OUT,
    )
