"""One client names hundreds of queues."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import psutil

from faults.registry import fault
from faults.system.system import WORKERS, SupervisedSystem, wait
from faults.trial import Trial, percentile

QUEUES = 300
MAX_QUEUES = 400
RUN_WITHIN_S = 30.0
OTHERS_START_WITHIN_S = 3.0
#: Threads that come and go: a fork server's start, a connection pool.
SPARE_THREADS = 4


@fault(
    "many-queues",
    action="one client names 300 queues, 5 tasks in each, three times",
    criterion="an executor has one connection to RabbitMQ and no more threads than before; other tasks start as usual",
    env={"TASKCORE_QUEUES__MAX": str(MAX_QUEUES)},
)
def many_queues(trial: Trial) -> None:
    system = trial.system
    threads_before = _threads(system)
    with trial.under_load(recovers_within_s=RUN_WITHIN_S):
        for _ in range(trial.config.pick(3, 1)):
            _submit(system, trial.config.pick(QUEUES, 20))
            wait(5)
        began = time.monotonic()
        while system.scalar(_LEFT) and time.monotonic() < began + 2 * RUN_WITHIN_S:
            wait(0.25)
        trial.at_most("all ran after s", time.monotonic() - began, RUN_WITHIN_S)
        trial.at_most("threads of an executor", _threads(system), threads_before + SPARE_THREADS)
        trial.at_most("connections of an executor", _connections(system), 1)
    trial.figures["longest wait in the queues s"] = round(system.scalar(_LONGEST_WAIT), 2)
    others = percentile(trial.start_delays_s(trial.submissions), 0.95)
    trial.at_most("other tasks start p95 s", others, OTHERS_START_WITHIN_S)
    refused = system.api.post("/tasks/batch", json={"tasks": _tasks(MAX_QUEUES + 1)})
    trial.require(refused.status_code == 422, f"{MAX_QUEUES + 1} queues were answered with {refused.status_code}")


_LEFT = "SELECT count(*) FROM task WHERE starts_with(queue, 'many-') AND status <> 'succeeded'"
_LONGEST_WAIT = """
    SELECT extract(epoch FROM max(started_at - created_at))::float FROM task WHERE starts_with(queue, 'many-')
"""


def _submit(system: SupervisedSystem, queues: int) -> None:
    system.api.post("/tasks/batch", json={"tasks": _tasks(queues) * 5}).raise_for_status()


def _tasks(queues: int) -> list[dict[str, object]]:
    return [{"name": "many", "type": "noop", "queue": f"many-{number}"} for number in range(queues)]


def _threads(system: SupervisedSystem) -> int:
    """Return the threads of the executor that has most."""
    return max(int(one.num_threads()) for one in _executors(system))


def _connections(system: SupervisedSystem) -> int:
    """Return the connections to RabbitMQ of the executor that has most."""
    port = urlsplit(system.sandbox.virtual_host.amqp_url).port
    counts = [
        sum(getattr(one.raddr, "port", None) == port for one in process.net_connections("tcp"))
        for process in _executors(system)
    ]
    return int(max(counts))


def _executors(system: SupervisedSystem) -> list[psutil.Process]:
    return [one for name in WORKERS for one in system.executors(name)]
