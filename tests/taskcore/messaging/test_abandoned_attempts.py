"""An embedded worker settles attempts that do not stop, and goes on without their threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest
from dramatiq.worker import Worker

from harness.waiting import eventually
from taskcore.db.tasks import actions
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.embedded_worker import EmbeddedWorker
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import MemoryPublisher
from taskcore.messaging.replacement_threads import ReplacementThreads
from taskcore.plugins import Plugin, TaskContext, build_plugins
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.messaging.worker_harness import NoParameters, Quick


class Stubborn(Plugin[NoParameters]):
    """Waits where no exception reaches it, until the test opens the gate."""

    name = "stubborn"
    gate = threading.Event()
    ended = threading.Semaphore(0)

    def run(self, ctx: TaskContext, params: NoParameters) -> None:
        try:
            self.gate.wait(60)
        finally:
            self.ended.release()


class EmbeddedHarness:
    """An embedded worker with a single thread."""

    def __init__(self, db: DatabaseHarness) -> None:
        self.db = db
        broker = MemoryBroker()
        self._publisher = MemoryPublisher(broker)
        settings = Settings(worker={"threads": 1, "prefetch_short": 0, "kill_after_s": 0.05, "heartbeat_s": 0.1})  # type: ignore[arg-type]
        plugins = build_plugins([Quick, Stubborn])
        self.worker = EmbeddedWorker(settings, db.engine, broker, plugins, lambda worker_id, wake: [])
        Stubborn.gate.clear()

    async def run(self, type_: str, **fields: object) -> int:
        """Submit a task and send its message."""
        (task_id,) = self.db.submit(new_task(type=type_, **fields))
        assert await self._publisher.publish("default", [task_id]) == []
        return task_id

    async def wait_for(self, task_id: int, status: str) -> None:
        await asyncio.to_thread(eventually, lambda: self.db.status(task_id) == status)

    async def end_abandoned_threads(self, count: int) -> None:
        Stubborn.gate.set()
        for _ in range(count):
            assert await asyncio.to_thread(Stubborn.ended.acquire, timeout=30)


@pytest.fixture
async def harness(db: DatabaseHarness) -> AsyncIterator[EmbeddedHarness]:
    harness = EmbeddedHarness(db)
    await asyncio.to_thread(harness.worker.start)
    yield harness
    Stubborn.gate.set()
    await asyncio.to_thread(harness.worker.stop, 5)


async def test_attempt_that_does_not_stop_times_out_and_its_thread_is_replaced(harness: EmbeddedHarness) -> None:
    stubborn = await harness.run("stubborn", timeout_s=0.05, max_attempts=1)
    await harness.wait_for(stubborn, "failed")

    await harness.wait_for(await harness.run("noop"), "succeeded")

    (row,) = harness.db.sql("SELECT reason, error FROM task WHERE id = :id", id=stubborn)
    assert tuple(row) == (
        "timed_out",
        "took longer than its timeout of 0.05 s; its thread does not stop, and was left to itself",
    )
    await harness.end_abandoned_threads(1)
    assert harness.db.history(stubborn) == ["queued", "running", "failed"]
    assert harness.worker.held_count == 0


async def test_attempt_that_does_not_stop_is_cancelled(harness: EmbeddedHarness) -> None:
    harness.db.register_type("stubborn")
    stubborn = await harness.run("stubborn")
    await harness.wait_for(stubborn, "running")

    harness.db.run(actions.request_cancel(), task=stubborn, by="me", why="enough")

    await harness.wait_for(stubborn, "cancelled")
    await harness.end_abandoned_threads(1)


@pytest.fixture
def idle_worker() -> Iterator[Worker]:
    """A worker whose own threads do not run."""
    worker = Worker(MemoryBroker(), worker_threads=1)
    yield worker
    for thread in worker.workers:
        thread.stop()
        thread.join()


def test_thread_that_comes_back_is_the_next_replacement(idle_worker: Worker) -> None:
    threads = ReplacementThreads(idle_worker)

    threads.replace(1)
    threads.put_back(ClaimedTask(Lease(1, 1, uuid4()), "t", "stubborn", "default", {}, 0, 4, 0.0))
    threads.replace(1)

    assert len(idle_worker.workers) == 1
