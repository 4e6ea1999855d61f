"""Cancellation of running tasks: the time until status `cancelled`, by the database's clock."""

from __future__ import annotations

import socket
from typing import Any

from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial, percentile
from harness.waiting import eventually

ROUNDS = 10
COOPERATIVE_LIMIT_S = 1.0
KILL_AFTER_S = 5.0

TOOK = """
    SELECT extract(epoch FROM h.at - c.at)::float AS s FROM task_history c JOIN task_history h USING (task_id)
    WHERE task_id = ANY(%s) AND c.to_status = 'cancelling' AND h.to_status = 'cancelled'
"""


@fault(
    "running-tasks-cancelled",
    action="running tasks cancelled: threads, plain Python, SQL, HTTP, child processes, one ignoring all signals",
    criterion="p95 of at most 1 s for cooperating plugins, SQL and HTTP; otherwise the grace period and 0.5 s",
)
def cancel_running(trial: Trial) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        kinds: dict[str, tuple[str, dict[str, Any], float]] = {
            "thread": ("sleep", {"seconds": 600}, COOPERATIVE_LIMIT_S),
            "plain Python": ("work", {"seconds": 600}, COOPERATIVE_LIMIT_S),
            "SQL": ("run_query", {"database": "own", "query": "SELECT pg_sleep(600)"}, COOPERATIVE_LIMIT_S),
            "HTTP": ("http_request", {"method": "GET", "url": url}, COOPERATIVE_LIMIT_S),
            "child": ("work_isolated", {"seconds": 600}, COOPERATIVE_LIMIT_S),
            "child ignoring signals": ("work_isolated", {"seconds": 600, "ignores_signals": True}, KILL_AFTER_S + 0.5),
        }
        with trial.under_load():
            cancelled = {name: _cancel(trial, *kind[:2]) for name, kind in kinds.items()}
    trial.drain()
    for name, (_, _, limit) in kinds.items():
        took = [row["s"] for row in trial.system.sql(TOOK, cancelled[name])]
        trial.require(
            len(took) == len(cancelled[name]), f"{name}: {len(took)} of {len(cancelled[name])} were cancelled"
        )
        trial.at_most(f"cancel {name} p95 s", percentile(took, 0.95), limit)


def _cancel(trial: Trial, type_: str, parameters: dict[str, Any]) -> list[int]:
    """Cancel 30 tasks, 3 at a time, shortly after they started."""
    done: list[int] = []
    for _ in range(trial.config.pick(ROUNDS, 1)):
        task_ids = trial.system.submit_many(3, type_, parameters)
        trial.system.wait_for(task_ids, "running")
        if type_.startswith("work"):  # an executor's first child process takes a while to start
            eventually(lambda ids=task_ids: trial.system.journal.runs().keys() >= set(ids))  # type: ignore[misc]
        wait(0.3)
        for task_id in task_ids:
            trial.system.api.post(f"/tasks/{task_id}/cancel", json={"reason": "a fault"}).raise_for_status()
        trial.system.wait_for(task_ids)
        done += task_ids
    return done
