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
from taskcore.domain.outcomes import Reason, Verdict
from taskcore.domain.retry import plan_retry
from taskcore.domain.tasks import Finished, Lease
from taskcore.plugins import Plugins

Attempt = tuple[int, int]


class Kind(StrEnum):
    """Why the process is gone."""

    CRASHED = "crashed"  # by itself
    STUCK = "stuck"  # killed: an attempt in it would not stop
    FROZEN = "frozen"  # killed: nothing was heard of it any more, and nobody knows which attempt it was
    FENCED = "fenced"  # killed: the worker's lease was about to end
    DRAINED = "drained"  # it ended in order, or was killed at the end of the worker's grace


@dataclass(frozen=True, slots=True)
class Death:
    """An executor process's end. `ran`: the attempts in its threads; `timed_out`: those past their deadline."""

    incarnation: int
    kind: Kind
    exit_code: int | None
    ran: frozenset[Attempt] = frozenset()
    timed_out: frozenset[Attempt] = field(default=frozenset())


def ends(death: Death, held: Sequence[Any], plugins: Plugins) -> list[Finished]:
    """How the attempts that the process held end: for `settlements.settle`. `held`: rows of `leases`."""
    return [
        Finished(Lease(row.id, row.attempt, row.lease_token), row.type, _verdict(death, row, plugins)) for row in held
    ]


def describe_exit(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        try:
            return f"its process was ended by signal {-exit_code} ({Signals(-exit_code).name})"
        except ValueError:
            return f"its process was ended by signal {-exit_code}"
    return f"its process ended by itself with status {exit_code}"


def _verdict(death: Death, row: Any, plugins: Plugins) -> Verdict:
    attempt = (row.id, row.attempt)
    match death.kind:
        case Kind.FENCED:
            return outcomes.lost(row.losses)
        case Kind.DRAINED:
            return outcomes.returned(Reason.WORKER_STOPPED)
        case Kind.STUCK if attempt in death.timed_out:
            return _timed_out(row, plugins)
        case Kind.CRASHED if death.ran == {attempt}:
            return outcomes.crashed(describe_exit(death.exit_code), row.crashes)
        case Kind.CRASHED:
            return outcomes.returned(Reason.PROCESS_CRASHED, alone=attempt in death.ran)
        case Kind.FROZEN:
            return outcomes.returned(Reason.PROCESS_STOPPED, alone=attempt in death.ran)
        case _:
            return outcomes.returned(Reason.PROCESS_STOPPED)


def _timed_out(row: Any, plugins: Plugins) -> Verdict:
    policy = plugins[row.type].retry
    wait = plan_retry(policy, row.max_attempts, row.failures + 1, random.uniform(-1, 1))
    return outcomes.timed_out("took longer than its timeout, and its process had to be killed", wait)
