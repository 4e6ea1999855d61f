"""What becomes of the attempts of an executor process that is gone. Pure.

A crash counts only against a task that ran alone in a process that died by itself. Where several ran, each runs next in
a process of its own: whoever did it shows. So it is where a process froze, for which none can be blamed.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from signal import Signals
from typing import Any

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.domain.retry import plan_retry
from taskcore.domain.tasks import FinishedAttempt, Lease
from taskcore.plugins import Plugins

AttemptKey = tuple[int, int]


class ExitKind(StrEnum):
    """Why the process is gone."""

    CRASHED = "crashed"  # by itself
    STUCK = "stuck"  # killed: an attempt in it would not stop
    UNRESPONSIVE = "unresponsive"  # killed: it had stopped reporting, and which attempt caused that is unknown
    FENCED = "fenced"  # killed: the worker's lease was about to end
    DRAINED = "drained"  # it ended in order, or was killed at the end of the worker's grace


@dataclass(frozen=True, slots=True)
class ExecutorExit:
    """An executor process's end. `ran`: the attempts in its threads; `timed_out`: those past their deadline."""

    incarnation: int
    kind: ExitKind
    exit_code: int | None
    running: frozenset[AttemptKey] = frozenset()
    timed_out: frozenset[AttemptKey] = field(default=frozenset())


def plan_results(exit_: ExecutorExit, held: Sequence[Any], plugins: Plugins) -> list[FinishedAttempt]:
    """How the attempts that the process held end: for `settlements.settle`. `held`: rows of `leases`."""
    return [
        FinishedAttempt(Lease(row.id, row.attempt, row.lease_token), row.type, _verdict(exit_, row, plugins))
        for row in held
    ]


def describe_exit(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        try:
            return f"its process was ended by signal {-exit_code} ({Signals(-exit_code).name})"
        except ValueError:
            return f"its process was ended by signal {-exit_code}"
    return f"its process ended by itself with status {exit_code}"


def _verdict(death: ExecutorExit, row: Any, plugins: Plugins) -> AttemptResult:
    attempt = (row.id, row.attempt)
    match death.kind:
        case ExitKind.FENCED:
            return outcomes.worker_lost(row.worker_losses)
        case ExitKind.DRAINED:
            return outcomes.released(Reason.WORKER_STOPPED)
        case ExitKind.STUCK if attempt in death.timed_out:
            return _timed_out(row, plugins)
        case ExitKind.CRASHED if death.running == {attempt}:
            return outcomes.crashed(describe_exit(death.exit_code), row.crashes)
        case ExitKind.CRASHED:
            return outcomes.released(Reason.PROCESS_CRASHED, isolated=attempt in death.running)
        case ExitKind.UNRESPONSIVE:
            return outcomes.released(Reason.PROCESS_STOPPED, isolated=attempt in death.running)
        case _:
            return outcomes.released(Reason.PROCESS_STOPPED)


def _timed_out(row: Any, plugins: Plugins) -> AttemptResult:
    policy = plugins[row.type].retry
    wait = plan_retry(policy, row.max_attempts, row.failures + 1, random.uniform(-1, 1))
    return outcomes.timed_out("took longer than its timeout, and its process had to be killed", wait)
