"""A million tasks wait."""

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
from faults.system.sandbox import home
from faults.system.system import COORDINATORS, WORKERS, KeptSystem, wait
from faults.trial import Trial, percentile
from taskcore.db.engine import BY_KEY, sync_engine
from taskcore.db.workers import workers
from taskcore.execution.executor import Executor
from taskcore.plugins import collect
from taskcore.settings import Settings
from taskworker.types.noop import Noop

BACKLOG = 1_000_000
SAMPLES = 5_000
IN_TURN = 50
TIMES_EMPTY = 2.0
GROWS_BY = 0.2
#: What RabbitMQ takes to come to its level, whatever waits: after two minutes it holds a third more than in the first.
WARM_S = 120
WORK_S = 60
NOOP = {"name": "backlog", "type": "noop"}


@fault(
    "backlog",
    done="a backlog of 1,000,000 tasks, built while all runs and worked on for a minute",
    bar="claim and submit p99 within 2 x of empty, in turn, 5,000 samples each; no process's memory grows by 20 %",
)
def backlog(trial: Trial) -> None:
    """The same work is done with next to nothing waiting, and with the backlog: what differs is the backlog's."""
    system = trial.system
    _memory_at_work(trial, WARM_S, feed=lambda: _feed(system))
    before = _memory_at_work(trial, WORK_S, feed=lambda: _feed(system))
    queue = "/queues/default/"
    system.api.post(queue + "pause", json={"reason": "a backlog is built"}).raise_for_status()
    began = time.monotonic()
    system.submit_many(trial.terms.of(BACKLOG, 20_000), "noop")
    trial.figures["submitted per s"] = round(BACKLOG / (time.monotonic() - began))
    system.api.post(queue + "resume").raise_for_status()
    meanwhile = _memory_at_work(trial, WORK_S, feed=lambda: None)
    growth = {name: size / before[name] - 1 for name, size in meanwhile.items() if name in before}
    for name in sorted(growth, key=lambda name: -growth[name])[:3]:
        trial.figures[f"{name} MiB"] = f"{before[name] >> 20} -> {meanwhile[name] >> 20}"
    trial.at_most("memory growth", max(growth.values()), GROWS_BY)
    _measure(trial)
    # What waits would take minutes to run, and nothing more is to be learnt from it.
    system.sql("TRUNCATE task, task_history, task_attempt, outbox")


def _memory_at_work(trial: Trial, seconds: int, feed: Callable[[], None]) -> dict[str, int]:
    """The median of each process over so much work."""
    until = time.monotonic() + trial.terms.of(seconds, 2)
    samples: list[dict[str, int]] = []
    while time.monotonic() < until:
        feed()
        samples.append(_memory(trial.system))
        wait(1)
    names = set(samples[0]).intersection(*samples)
    return {name: int(median(sample[name] for sample in samples)) for name in names}


def _feed(system: KeptSystem) -> None:
    """Keep the workers busy, in the same batches as the backlog is made of."""
    if system.open_tasks() < 5_000:
        system.submit_many(10_000, "noop")


def _memory(system: KeptSystem) -> dict[str, int]:
    """What each process has for itself, in bytes."""
    names = ("api", *COORDINATORS, *WORKERS)
    processes = {f"{name} {one.pid}": one for name in names for one in system.processes(name)}
    broker = int(system.home.servers.rabbitmq.control("eval", "os:getpid().").strip().strip('"'))
    processes["RabbitMQ"] = psutil.Process(broker)
    return {name: process.memory_full_info().uss for name, process in processes.items()}


def _measure(trial: Trial) -> None:
    """With no worker and no coordinator, so that the database alone is seen."""
    for name in (*WORKERS, *COORDINATORS):
        trial.system.keeper.release(name).terminate()
    trial.figures["backlog"] = trial.system.open_tasks()
    with home(trial.system.home.servers) as place:
        empty = KeptSystem(place)
        empty.start_the_api()
        types = trial.system.sql("SELECT to_jsonb(t) AS row FROM task_type t WHERE name = 'noop'")
        empty.sql("INSERT INTO task_type SELECT * FROM jsonb_populate_record(NULL::task_type, %s::jsonb)", _text(types))
        sides = Side(empty), Side(trial.system)
        asyncio.run(_in_turn(sides, trial.terms.of(SAMPLES, 100)))
        empty.close()
    _judge(trial, "submit", *(side.submits_s for side in sides))
    _judge(trial, "claim", *(side.claims_s for side in sides))


def _judge(trial: Trial, what: str, empty: list[float], full: list[float]) -> None:
    alone_ms, full_ms = (percentile(took, 0.99) * 1000 for took in (empty, full))
    trial.figures[f"{what} p99 when empty ms"] = round(alone_ms, 3)
    trial.at_most(f"{what} p99 with the backlog ms", full_ms, TIMES_EMPTY * alone_ms)


def _text(rows: list[dict[str, object]]) -> str:
    return json.dumps(rows[0]["row"])


class Side:
    """Submits to one system, and claims as an executor does."""

    def __init__(self, system: KeptSystem) -> None:
        self._system = system
        engine = sync_engine(system.database_url, name="faults", pool_size=1, options=BY_KEY)
        row = workers.register_worker(host="nowhere", pid=1, slots=1, queues=[], types=["noop"], lease_s=3_600)
        with engine.connect() as connection:
            worker_id = connection.execute(row).scalar_one()
        self._executor = Executor(engine, collect([Noop]), Settings(), worker_id=worker_id, incarnation=1)
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
        status, body = await connection.ask(request)
        self.submits_s.append(time.perf_counter() - began)
        assert status == 201, body
        return int(json.loads(body)["id"])


async def _in_turn(sides: Sequence[Side], samples: int) -> None:
    for _ in range(samples // IN_TURN):
        for side in sides:
            await side.measure(IN_TURN)
