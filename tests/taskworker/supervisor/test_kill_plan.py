"""Which executor processes are killed, and why."""

from __future__ import annotations

import pytest

from taskcore.leasing.executor_exits import ExitKind
from taskcore.leasing.lost_claims import MAX_REPORT_AGE_S
from taskworker.supervisor.attempt_table import AttemptEntry
from taskworker.supervisor.kill_plan import (
    MAX_STARTUP_TIMEOUT_S,
    MIN_SILENCE_S,
    STARTUP_TIMEOUT_S,
    ExecutorState,
    Kill,
    next_startup_timeout_s,
    plan_kill,
)

NOW = 1_000.0
KILL_AFTER_S = 5.0
LEASE_S = 30.0
LONG_AGO = NOW - KILL_AFTER_S - 1
LATELY = NOW - KILL_AFTER_S + 1

RUNNING = AttemptEntry(1, 1, None)
LATE = AttemptEntry(2, 1, LONG_AGO)
NEARLY_LATE = AttemptEntry(2, 1, LATELY)
SILENT = MAX_REPORT_AGE_S + 1


def stuck(*task_ids: int, timed_out: tuple[int, ...] = ()) -> Kill:
    return Kill(ExitKind.STUCK, frozenset((i, 1) for i in task_ids), frozenset((i, 1) for i in timed_out))


def unresponsive(*task_ids: int) -> Kill:
    return Kill(ExitKind.UNRESPONSIVE, frozenset((i, 1) for i in task_ids))


@pytest.mark.parametrize(
    ("state", "kill"),
    [
        pytest.param(ExecutorState(), None, id="idle"),
        pytest.param(ExecutorState([RUNNING]), None, id="running"),
        pytest.param(ExecutorState([NEARLY_LATE]), None, id="deadline-just-passed"),
        pytest.param(ExecutorState([LATE, RUNNING]), stuck(2, timed_out=(2,)), id="deadline-long-passed"),
        pytest.param(ExecutorState([RUNNING], {(1, 1): LATELY}), None, id="just-interrupted"),
        pytest.param(ExecutorState([RUNNING], {(1, 1): LONG_AGO}), stuck(1), id="does-not-stop"),
        pytest.param(ExecutorState([LATE], {(2, 1): LONG_AGO}), stuck(2), id="late-but-cancelled-before"),
        pytest.param(ExecutorState([LATE], silent_s=SILENT), stuck(2, timed_out=(2,)), id="silent-and-alone"),
        pytest.param(ExecutorState([LATE, RUNNING], silent_s=SILENT), unresponsive(2), id="another-may-hold-it-up"),
        pytest.param(ExecutorState([RUNNING], silent_s=LEASE_S), None, id="silent-for-a-lease"),
        pytest.param(ExecutorState([RUNNING], silent_s=LEASE_S + 1), unresponsive(), id="silent-for-longer"),
        pytest.param(ExecutorState(silent_s=STARTUP_TIMEOUT_S - 1, has_reported=False), None, id="starts-slowly"),
        pytest.param(
            ExecutorState(silent_s=STARTUP_TIMEOUT_S + 1, has_reported=False), unresponsive(), id="never-starts"
        ),
    ],
)
def test_kill_follows_from_attempts_and_silence(state: ExecutorState, kill: Kill | None) -> None:
    assert plan_kill(state, NOW, kill_after_s=KILL_AFTER_S, lease_s=LEASE_S) == kill


def test_a_short_lease_kills_no_process_that_is_only_slow() -> None:
    state = ExecutorState(silent_s=MIN_SILENCE_S - 1)

    assert plan_kill(state, NOW, kill_after_s=KILL_AFTER_S, lease_s=1.0) is None


def test_a_process_that_was_killed_as_it_started_is_followed_by_one_with_more_time() -> None:
    timeouts = [STARTUP_TIMEOUT_S]
    for _ in range(8):
        timeouts.append(next_startup_timeout_s(timeouts[-1], has_reported=False, was_unresponsive=True))

    assert timeouts[:3] == [STARTUP_TIMEOUT_S, 2 * STARTUP_TIMEOUT_S, 4 * STARTUP_TIMEOUT_S]
    assert timeouts[-1] == MAX_STARTUP_TIMEOUT_S


def test_a_crash_at_the_start_gives_no_more_time_and_a_start_takes_it_back() -> None:
    assert next_startup_timeout_s(400, has_reported=False, was_unresponsive=False) == 400
    assert next_startup_timeout_s(400, has_reported=True, was_unresponsive=True) == STARTUP_TIMEOUT_S
