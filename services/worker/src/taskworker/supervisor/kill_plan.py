"""When an executor process has to be killed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from taskcore.domain.tasks import AttemptKey
from taskcore.leasing.executor_exits import ExitKind
from taskcore.leasing.lost_claims import MAX_REPORT_AGE_S
from taskworker.supervisor.attempt_table import AttemptEntry

#: A process that is silent for less than this may only be slow, however short the lease is.
MIN_SILENCE_S = 10.0
#: How long a process may take to import the plugins and send its first report.
STARTUP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """What the supervisor sees of an executor process.

    `running`: the attempts in its threads; `interrupted_at`: when which of them were interrupted; `silent_s`: for how
    long it has sent no report.
    """

    running: Sequence[AttemptEntry] = ()
    interrupted_at: Mapping[AttemptKey, float] = field(default_factory=dict)
    silent_s: float = 0.0
    has_reported: bool = True


@dataclass(frozen=True, slots=True)
class Kill:
    """Why to kill a process. `stuck`: attempts that did not stop; `timed_out`: those of them past their deadline."""

    kind: ExitKind
    stuck: frozenset[AttemptKey] = frozenset()
    timed_out: frozenset[AttemptKey] = frozenset()


def plan_kill(state: ExecutorState, now: float, *, kill_after_s: float, lease_s: float) -> Kill | None:
    """Return None for a process that may go on.

    A process is stuck when an attempt runs on `kill_after_s` after it was interrupted, or after its deadline. It is
    unresponsive when it is silent for longer than a lease: it is stopped, or a thread does not let go of the GIL.
    """
    limit = now - kill_after_s
    interrupted = frozenset(e.key for e in state.running if state.interrupted_at.get(e.key, inf) < limit)
    late = frozenset(e.key for e in state.running if e.deadline is not None and e.deadline < limit)
    stuck = interrupted | late
    max_silence_s = max(lease_s, MIN_SILENCE_S if state.has_reported else STARTUP_TIMEOUT_S)
    if state.silent_s > max_silence_s or (stuck and _is_ambiguous(state)):
        return Kill(ExitKind.UNRESPONSIVE, stuck)
    return Kill(ExitKind.STUCK, stuck, late - interrupted) if stuck else None


def _is_ambiguous(state: ExecutorState) -> bool:
    """Whether an attempt that does not stop may be held up by another one, which does not let go of the GIL."""
    return state.silent_s > MAX_REPORT_AGE_S and len(state.running) > 1
