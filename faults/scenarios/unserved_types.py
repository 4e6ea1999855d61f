"""Tasks of a type that no worker knows, beside tasks that are served."""

from __future__ import annotations

from collections.abc import Sequence

from faults.load.generator import LoadGenerator, accepted_ids
from faults.load.submissions import Submission
from faults.registry import fault
from faults.system.system import wait
from faults.trial import Trial, percentile

UNSERVED = 30_000
MEASURE_S = 30
MAX_RATIO = 2.0
#: Below this, a ratio says nothing.
FLOOR_S = 0.02


@fault(
    "unserved-types",
    action="30,000 tasks of a type that no worker knows, beside the load",
    criterion="the load's p99 from submission to start at most twice that without them; they are given up in the end",
)
def unserved_types(trial: Trial) -> None:
    system, seconds = trial.system, trial.config.pick(MEASURE_S, 2)
    _register_unserved(trial)
    alone_s = _load(trial, seconds)
    with_them = _start_load(trial)
    task_ids = system.submit_many(trial.config.pick(UNSERVED, 1_000), "unserved")
    came_in = len(with_them.submissions)
    wait(seconds)
    with_them.stop()
    trial.submissions += with_them.submissions
    meanwhile_s = _starts_s(trial, with_them.submissions[:came_in])
    beside_s = _starts_s(trial, with_them.submissions[came_in:])
    trial.figures["p99 without them s"] = round(percentile(alone_s, 0.99), 3)
    trial.figures["p99 while they are submitted s"] = round(percentile(meanwhile_s, 0.99), 3)
    trial.at_most("p99 beside them s", percentile(beside_s, 0.99), MAX_RATIO * max(FLOOR_S, percentile(alone_s, 0.99)))
    waiting = system.scalar("SELECT count(*) FROM task WHERE id = ANY(%s) AND status = 'queued'", task_ids)
    trial.require(waiting == len(task_ids), f"{len(task_ids) - waiting} of them did not wait")
    _let_them_be_given_up(trial, task_ids)


def _load(trial: Trial, seconds: float) -> list[float]:
    load = _start_load(trial)
    wait(seconds)
    load.stop()
    trial.submissions += load.submissions
    return _starts_s(trial, load.submissions)


def _start_load(trial: Trial) -> LoadGenerator:
    load = LoadGenerator(trial.system.url, trial.config.rate)
    load.start()
    return load


def _starts_s(trial: Trial, submissions: Sequence[Submission]) -> list[float]:
    """Return the seconds from submission to first start of the tasks that wait for no other."""
    ids = accepted_ids([one for one in submissions if not one.has_dependencies])
    trial.system.wait_for(ids)
    rows = trial.system.sql(
        "SELECT extract(epoch FROM run.started_at - task.created_at)::float AS s FROM task"
        " JOIN task_attempt AS run ON run.task_id = task.id AND run.attempt = 1 WHERE task.id = ANY(%s)",
        ids,
    )
    return [row["s"] for row in rows]


def _register_unserved(trial: Trial) -> None:
    """Make the API accept the type, as if it had seen a worker with it."""
    like = "SELECT (to_jsonb(known) || '{\"name\": \"unserved\"}')::text FROM task_type AS known WHERE name = 'noop'"
    type_ = trial.system.scalar(like)
    trial.system.sql("INSERT INTO task_type SELECT * FROM jsonb_populate_record(NULL::task_type, %s::jsonb)", type_)


def _let_them_be_given_up(trial: Trial, task_ids: Sequence[int]) -> None:
    """Let two days pass for these tasks, and check that all of them fail."""
    system, long_ago = trial.system, "now() - interval '2 days'"
    system.api.put("/settings/coordinator.sweep_every_s", json={"value": 1}).raise_for_status()
    system.sql(f"UPDATE task_type SET seen_at = {long_ago} WHERE name = 'unserved'")
    system.sql(f"UPDATE outbox SET available_at = {long_ago} WHERE type = 'unserved'")
    trial.drain()
    given_up = system.scalar("SELECT count(*) FROM task WHERE id = ANY(%s) AND reason = 'unknown_type'", task_ids)
    trial.require(given_up == len(task_ids), f"{len(task_ids) - given_up} of them were not given up")
