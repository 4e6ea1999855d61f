"""Tasks that crash their process, isolated or next to other tasks."""

from __future__ import annotations

import time

from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial, percentile

HOWS = ("exit", "segfault", "memory", "loop")
ENDS = {("failed", "crash_loop"), ("failed", "timed_out")}


@fault(
    "crashing-tasks-isolated",
    action="isolated tasks that call os._exit, segfault, exhaust memory or loop in C, all at once; 4 times",
    criterion="they end as crash_loop or timed_out; the start p99 of other tasks less than doubles",
)
def in_processes(trial: Trial) -> None:
    with trial.under_load() as load:
        wait(trial.config.pick(20, 1))
        inflicted_at = time.monotonic()
        task_ids = []
        for _ in range(trial.config.pick(4, 1)):
            task_ids += _inflict(trial, "crash_isolated")
            trial.system.wait_for(task_ids)
        over_at = time.monotonic()
    _require_ends(trial, task_ids)
    submissions = [submission for submission in load.submissions if submission.ids]
    before = trial.start_delays_s([submission for submission in submissions if submission.due_at < inflicted_at])
    during = trial.start_delays_s(
        [submission for submission in submissions if inflicted_at <= submission.due_at < over_at]
    )
    trial.figures["p99 start before s"] = round(percentile(before, 0.99), 3)
    trial.at_most("p99 start during s", percentile(during, 0.99), 2 * percentile(before, 0.99))
    _require_others_unharmed(trial, task_ids)


@fault(
    "crashing-tasks-in-threads",
    action="the same tasks in threads next to others, one after another",
    criterion="the others run again without a charge; the culprit ends as crash_loop",
    is_smoke=False,
)
def in_threads(trial: Trial) -> None:
    with trial.under_load(recovers_within_s=30, completed=0.9):
        task_ids = _inflict(trial, "crash")
        trial.system.wait_for(task_ids)
    _require_ends(trial, task_ids)
    _require_others_unharmed(trial, task_ids)


def _inflict(trial: Trial, type_: str) -> list[int]:
    return [one for how in HOWS for one in trial.system.submit_many(1, type_, {"how": how})]


def _require_ends(trial: Trial, task_ids: list[int]) -> None:
    rows = trial.system.sql(
        "SELECT parameters->>'how' AS how, status, reason, crashes, count(*), min(error) AS error"
        " FROM task WHERE id = ANY(%s) GROUP BY 1, 2, 3, 4 ORDER BY 1",
        task_ids,
    )
    for row in rows:
        trial.figures[row["how"]] = f"{row['count']} {row['status']}, {row['reason']}, crashes {row['crashes']}"
        is_right = (row["status"], row["reason"]) in ENDS
        trial.require(is_right, f"{row['how']} ended {row['status']}, {row['reason']}: {row['error']}")


def _require_others_unharmed(trial: Trial, culprits: list[int]) -> None:
    trial.drain()
    harmed = "SELECT count(*) FROM task WHERE id <> ALL(%s) AND (crashes > 0 OR status = 'failed')"
    count = trial.system.scalar(harmed, culprits)
    trial.require(count == 0, f"{count} other tasks were charged a crash, or failed")
