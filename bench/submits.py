"""Submission rates of the API, and the latency from submission to start."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from bench.connection import Connection, post_all, post_request
from bench.taskcore_contender import NOOP, SINGLE_CONNECTIONS, Taskcore

SINGLE = 5_000
LATENCY_RATE = 100
LATENCY_CONNECTIONS = 32

#: `started_at` is when the plugin started. Both times are from the database.
LATENCIES = """
    SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99])
           WITHIN GROUP (ORDER BY extract(epoch FROM started_at - created_at)::float * 1000) FROM task WHERE id > %s
"""


@dataclass(frozen=True, slots=True)
class Latencies:
    p50: float
    p95: float
    p99: float


def single_per_s(taskcore: Taskcore) -> float:
    """Measure `POST /tasks` over several connections, without workers."""
    requests = [_single(taskcore)] * SINGLE
    began = time.perf_counter()
    asyncio.run(post_all(taskcore.url, requests, SINGLE_CONNECTIONS))
    return SINGLE / (time.perf_counter() - began)


def batch_per_s(taskcore: Taskcore, tasks: int) -> float:
    """Measure `POST /tasks/batch` with 1,000 tasks each over one connection, without workers."""
    taskcore.prepare(tasks)
    began = time.perf_counter()
    taskcore.submit()
    return tasks / (time.perf_counter() - began)


def start_latencies_ms(taskcore: Taskcore, seconds: float) -> Latencies:
    """Measure latencies with idle workers and an open-loop load."""
    after = taskcore.last_id()
    asyncio.run(_submit_at_a_rate(taskcore, round(LATENCY_RATE * seconds)))
    taskcore.wait_until_idle()
    row = taskcore.database.execute(LATENCIES, [after]).fetchone()
    assert row is not None
    return Latencies(*row[0])


async def _submit_at_a_rate(taskcore: Taskcore, tasks: int) -> None:
    request = _single(taskcore)
    idle: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(LATENCY_CONNECTIONS):
        idle.put_nowait(await Connection.open(taskcore.url))

    async def submit() -> None:
        connection = await idle.get()
        await connection.post(request)
        idle.put_nowait(connection)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(tasks):
            await asyncio.sleep(began + number / LATENCY_RATE - time.perf_counter())
            group.create_task(submit())
    while not idle.empty():
        await idle.get_nowait().close()


def _single(taskcore: Taskcore) -> bytes:
    return post_request(taskcore.url, "/api/v1/tasks", json.dumps(NOOP).encode())
