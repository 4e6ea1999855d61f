"""A backlog of a million tasks."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from statistics import median
from uuid import uuid4

import psutil

from bench.connection import Connection, post_request
from faults.registry import fault
from faults.system.sandbox import sandbox
from faults.system.system import COORDINATORS, WORKERS, SupervisedSystem, wait
from faults.trial import Trial, percentile
from harness.postgres import execute_as
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.db.workers import workers
from taskcore.execution.executor import Executor
from taskcore.plugins import build_plugins
from taskcore.settings import Settings
from taskstandalone.postgres.roles import OWNER
from taskworker.types.noop import Noop

BACKLOG = 1_000_000
SAMPLES = 5_000
SAMPLES_PER_TURN = 50
MAX_RATIO_TO_EMPTY = 2.0
MAX_MEMORY_GROWTH = 0.2
#: Time until RabbitMQ's memory is stable, whatever the backlog: it grows by a third within two minutes.
WARM_UP_S = 120
WORK_S = 60
NOOP = {"name": "backlog", "type": "noop"}


@fault(
    "backlog",
    action="a backlog of 1,000,000 tasks, submitted while the system runs and worked on for a minute",
    criterion="claim and submit p99 at most twice those of an empty system, 5,000 samples; memory grows under 20 %",
)
def backlog(trial: Trial) -> None:
    """Do the same work with an almost empty queue and with the backlog, so that only the backlog differs."""
    system = trial.system
    _memory_at_work(trial, WARM_UP_S, feed=lambda: _feed(system))
    before = _memory_at_work(trial, WORK_S, feed=lambda: _feed(system))
    queue = "/queues/default/"
    system.api.post(queue + "pause", json={"reason": "a backlog is built"}).raise_for_status()
    began = time.monotonic()
    system.submit_many(trial.config.pick(BACKLOG, 20_000), "noop")
    trial.figures["submitted per s"] = round(BACKLOG / (time.monotonic() - began))
    system.api.post(queue + "resume").raise_for_status()
    meanwhile = _memory_at_work(trial, WORK_S, feed=lambda: None)
    growth = {name: size / before[name] - 1 for name, size in meanwhile.items() if name in before}
    for name in sorted(growth, key=lambda name: -growth[name])[:3]:
        trial.figures[f"{name} MiB"] = f"{before[name] >> 20} -> {meanwhile[name] >> 20}"
    trial.at_most("memory growth", max(growth.values()), MAX_MEMORY_GROWTH)
    _measure(trial)
    # Running the backlog would take minutes and show nothing more.
    execute_as(OWNER, system.database_url, "TRUNCATE task, task_history, task_attempt, outbox")


def _memory_at_work(trial: Trial, seconds: int, feed: Callable[[], None]) -> dict[str, int]:
    """Return the median memory of each process over this time under work."""
    until = time.monotonic() + trial.config.pick(seconds, 2)
    samples: list[dict[str, int]] = []
    while time.monotonic() < until:
        feed()
        samples.append(_memory(trial.system))
        wait(1)
    names = set(samples[0]).intersection(*samples)
    return {name: int(median(sample[name] for sample in samples)) for name in names}


def _feed(system: SupervisedSystem) -> None:
    """Keep the workers busy, with batches like those of the backlog."""
    if system.count_open_tasks() < 5_000:
        system.submit_many(10_000, "noop")


def _memory(system: SupervisedSystem) -> dict[str, int]:
    """Return the unshared memory of each process in bytes."""
    names = ("api", *COORDINATORS, *WORKERS)
    processes = {f"{name} {one.pid}": one for name in names for one in system.processes(name)}
    broker = int(system.sandbox.servers.rabbitmq.rabbitmqctl("eval", "os:getpid().").strip().strip('"'))
    processes["RabbitMQ"] = psutil.Process(broker)
    return {name: process.memory_full_info().uss for name, process in processes.items()}


def _measure(trial: Trial) -> None:
    """Measure without workers and coordinators, so that only the database matters."""
    for name in (*WORKERS, *COORDINATORS):
        trial.system.restarter.stop_restarting(name).terminate()
    trial.figures["backlog"] = trial.system.count_open_tasks()
    with sandbox(trial.system.sandbox.servers) as place:
        empty = SupervisedSystem(place)
        empty.start_restartable_api()
        types = trial.system.sql("SELECT to_jsonb(t) AS row FROM task_type t WHERE name = 'noop'")
        empty.sql("INSERT INTO task_type SELECT * FROM jsonb_populate_record(NULL::task_type, %s::jsonb)", _text(types))
        sides = MeasuredSystem(empty), MeasuredSystem(trial.system)
        asyncio.run(_in_turn(sides, trial.config.pick(SAMPLES, 100)))
        empty.close()
    _judge(trial, "submit", *(side.submits_s for side in sides))
    _judge(trial, "claim", *(side.claims_s for side in sides))


def _judge(trial: Trial, what: str, empty: list[float], full: list[float]) -> None:
    alone_ms, full_ms = (percentile(took, 0.99) * 1000 for took in (empty, full))
    trial.figures[f"{what} p99 when empty ms"] = round(alone_ms, 3)
    trial.at_most(f"{what} p99 with the backlog ms", full_ms, MAX_RATIO_TO_EMPTY * alone_ms)


def _text(rows: list[dict[str, object]]) -> str:
    return json.dumps(rows[0]["row"])


class MeasuredSystem:
    """A system whose submissions and claims are timed. It claims as an executor does."""

    def __init__(self, system: SupervisedSystem) -> None:
        self._system = system
        engine = sync_engine(system.database_url, name="faults", pool_size=1, options=KEY_LOOKUP_OPTIONS)
        row = workers.register_worker(host="nowhere", pid=1, slots=1, queues=[], types=["noop"], lease_s=3_600)
        with engine.connect() as connection:
            worker_id = connection.execute(row).scalar_one()
        self._executor = Executor(engine, build_plugins([Noop]), Settings(), worker_id=worker_id, incarnation=1)
        self.submits_s: list[float] = []
        self.claims_s: list[float] = []

    async def measure(self, samples: int) -> None:
        connection = await Connection.open(self._system.url)
        ids = [await self._submit(connection) for _ in range(samples)]
        await connection.close()
        for task_id in ids:
            began = time.perf_counter()
            claimed = self._executor.claim(uuid4(), [task_id])
            self.claims_s.append(time.perf_counter() - began)
            assert len(claimed) == 1

    async def _submit(self, connection: Connection) -> int:
        request = post_request(self._system.url, "/api/v1/tasks", json.dumps(NOOP).encode())
        began = time.perf_counter()
        status, body = await connection.request(request)
        self.submits_s.append(time.perf_counter() - began)
        assert status == 201, body
        return int(json.loads(body)["id"])


async def _in_turn(sides: Sequence[MeasuredSystem], samples: int) -> None:
    for _ in range(samples // SAMPLES_PER_TURN):
        for side in sides:
            await side.measure(SAMPLES_PER_TURN)
