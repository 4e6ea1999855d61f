"""Workers with a wrong clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from faults.registry import fault
from faults.scenarios.handoffs import require_each_ran_once
from faults.system.system import WORKERS, wait
from faults.trial import Trial

HOUR_S = 3_600
ON_TIME_S = 2.0


@fault(
    "clock-skew",
    action="one worker's clock an hour ahead, the other's an hour behind; then both an hour back, while they run",
    criterion="no lease lost, no task early or late",
)
def clock_wrong(trial: Trial) -> None:
    """Shift the wall clock of Python in the worker's processes; see `faults/clock`."""
    system = trial.system
    for name, shift_s in zip(WORKERS, (HOUR_S, -HOUR_S), strict=True):
        system.shift_clock(name, shift_s)
        system.restarter[name].terminate()
        system.wait_until_ready(name)
    with trial.under_load():
        task_ids = _delayed(trial)
        wait(trial.config.pick(20, 2))
        for name, shift_s in zip(WORKERS, (0, -2 * HOUR_S), strict=True):
            system.shift_clock(name, shift_s)
        task_ids += _delayed(trial)
        wait(trial.config.pick(40, 2))
    require_each_ran_once(trial)
    _judge_times(trial, task_ids)


def _delayed(trial: Trial) -> list[int]:
    soon = [datetime.now(UTC) + timedelta(seconds=seconds) for seconds in range(2, 12)]
    return [trial.system.submit("work", run_at=run_at.isoformat()) for run_at in soon]


def _judge_times(trial: Trial, task_ids: list[int]) -> None:
    """Check the start times by the database's clock, which is correct."""
    late = "SELECT extract(epoch FROM started_at - run_at)::float AS s FROM task WHERE id = ANY(%s)"
    late_s = [row["s"] for row in trial.system.sql(late, task_ids)]
    trial.require(min(late_s) >= 0, f"a task started {-min(late_s):.3f} s early")
    trial.at_most("latest start after run_at s", max(late_s), ON_TIME_S)
    lost = trial.system.scalar("SELECT count(*) FROM task_attempt WHERE outcome = 'lost'")
    trial.require(lost == 0, f"{lost} leases were lost")
