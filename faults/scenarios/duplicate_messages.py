"""Duplicate and stale messages, which must not start anything."""

from __future__ import annotations

import pika

from faults.registry import fault
from faults.scenarios.handoffs import require_each_ran_once
from faults.system.system import WORKERS
from faults.trial import Trial
from harness.waiting import eventually
from taskcore.messaging.messages import encode

REFUSED_METRIC = "taskcore_claims_refused_total"
CRITERION = "rejected and counted"


@fault("duplicate-messages", action="the message of each of 20 tasks sent 100 times", criterion=CRITERION)
def copies(trial: Trial) -> None:
    before = _refused(trial)
    with trial.under_load():
        task_ids = trial.system.submit_many(20, "work", {"seconds": 0.5})
        _publish(trial, [task_id for task_id in task_ids for _ in range(100)])
    require_each_ran_once(trial)
    eventually(lambda: _refused(trial) - before >= 1_900, description="the duplicates being counted")  # some were valid
    trial.figures["refused"] = _refused(trial) - before


@fault(
    "stale-messages",
    action="10 messages for each of 50 tasks: cancelled, deleted, finished, retried by hand, waiting to be retried",
    criterion=CRITERION,
)
def stale(trial: Trial) -> None:
    with trial.under_load():
        stale_ids = [*_cancelled(trial), *_deleted(trial), *_finished(trial), *_retried(trial), *_waiting(trial)]
        before = _states(trial, stale_ids)
        counted = _refused(trial)
        _publish(trial, stale_ids * 10)
        eventually(
            lambda: _refused(trial) - counted >= 10 * len(stale_ids), description="the stale messages being counted"
        )
        trial.require(_states(trial, stale_ids) == before, "a stale message changed a task")
        trial.figures["refused"] = _refused(trial) - counted
        for task_id in stale_ids:  # those that wait to be retried are no backlog
            trial.system.api.post(f"/tasks/{task_id}/cancel")


def _cancelled(trial: Trial) -> list[int]:
    task_ids = trial.system.submit_many(10, "noop", run_at="2099-01-01T00:00:00Z")
    for task_id in task_ids:
        trial.system.api.post(f"/tasks/{task_id}/cancel").raise_for_status()
    return task_ids


def _deleted(trial: Trial) -> list[int]:
    task_ids = _finished(trial)
    for task_id in task_ids:
        trial.system.api.delete(f"/tasks/{task_id}").raise_for_status()
    return task_ids


def _finished(trial: Trial) -> list[int]:
    task_ids = trial.system.submit_many(10, "noop")
    trial.system.wait_for(task_ids)
    return task_ids


def _retried(trial: Trial) -> list[int]:
    task_ids = _cancelled(trial)
    for task_id in task_ids:
        trial.system.api.post(f"/tasks/{task_id}/retry").raise_for_status()
    trial.system.wait_for(task_ids)
    return task_ids


def _waiting(trial: Trial) -> list[int]:
    task_ids = trial.system.submit_many(10, "patient")
    trial.system.wait_for(task_ids, "retrying")
    return task_ids


def _states(trial: Trial, task_ids: list[int]) -> list[object]:
    rows = trial.system.sql("SELECT id, status, attempt FROM task WHERE id = ANY(%s) ORDER BY id", task_ids)
    return [tuple(row.values()) for row in rows]


def _refused(trial: Trial) -> float:
    return sum(trial.system.metric(name, REFUSED_METRIC) for name in WORKERS)


def _publish(trial: Trial, task_ids: list[int]) -> None:
    url = trial.system.sandbox.virtual_host.amqp_url
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for task_id in task_ids:
            channel.basic_publish("", "default", encode("default", task_id))
