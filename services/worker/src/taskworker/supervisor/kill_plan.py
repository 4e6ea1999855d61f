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
#: How long a process may take to import the plugins and send its first report. It doubles each time that a process was
#: killed before: on a machine that is short of CPU, a start that is cut off again and again never ends.
STARTUP_TIMEOUT_S = 120.0
MAX_STARTUP_TIMEOUT_S = 3_600.0


@dataclass(frozen=True, slots=True)
class ExecutorState:
    """What the supervisor sees of an executor process.

    `running`: the attempts in its threads; `interrupted_at`: when which of them were interrupted; `silent_s`: for how
    long it has sent no report; `startup_timeout_s`: how long it may take to its first one.
    """

    running: Sequence[AttemptEntry] = ()
    interrupted_at: Mapping[AttemptKey, float] = field(default_factory=dict)
    silent_s: float = 0.0
    has_reported: bool = True
    startup_timeout_s: float = STARTUP_TIMEOUT_S


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
    max_silence_s = max(lease_s, MIN_SILENCE_S if state.has_reported else state.startup_timeout_s)
    if state.silent_s > max_silence_s or (stuck and _is_ambiguous(state)):
        return Kill(ExitKind.UNRESPONSIVE, stuck)
    return Kill(ExitKind.STUCK, stuck, late - interrupted) if stuck else None


def next_startup_timeout_s(last_s: float, *, has_reported: bool, was_unresponsive: bool) -> float:
    """Return how long the next process may take to start, after one that had `last_s` for it has ended."""
    if has_reported:
        return STARTUP_TIMEOUT_S
    return min(2 * last_s, MAX_STARTUP_TIMEOUT_S) if was_unresponsive else last_s


def _is_ambiguous(state: ExecutorState) -> bool:
    """Whether an attempt that does not stop may be held up by another one, which does not let go of the GIL."""
    return state.silent_s > MAX_REPORT_AGE_S and len(state.running) > 1
