"""Processes die: workers, parts of workers, coordinators."""

from __future__ import annotations

import time

from faults.registry import fault
from faults.system import WORKERS, wait
from faults.trial import Trial


@fault(
    "worker-killed-often",
    done="a worker killed every 10 s, 12 times, with tasks of 5 s among the load",
    bar="all end as they should; none crash_loop",
)
def killed_often(trial: Trial) -> None:
    with trial.under_load(rate=trial.terms.rate / 2):
        for number in range(trial.terms.of(12, 1)):
            trial.system.submit_many(10, "work", {"seconds": 5})
            name = WORKERS[number % len(WORKERS)]
            next_at = time.monotonic() + trial.terms.of(10, 3)
            trial.system.wait_until_working(name).kill_group()
            wait(max(0.0, next_at - time.monotonic()))
    trial.drain()
    ends = trial.system.sql("SELECT status, reason, count(*) FROM task GROUP BY 1, 2")
    trial.require([end["status"] for end in ends] == ["succeeded"], f"the tasks ended as {ends}")
