"""Threads and slots of a worker outlive whatever its plugins do."""

from __future__ import annotations

from taskcore.plugins import Plugin, TaskContext
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.messaging.worker_harness import MemoryHarness, NoParameters, Quick


class Unspeakable(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)


class Hostile(Plugin[NoParameters]):
    name = "hostile"

    def run(self, ctx: TaskContext, params: NoParameters) -> object:
        raise Unspeakable


async def test_threads_are_free_after_attempts_that_cannot_be_described(db: DatabaseHarness) -> None:
    harness = MemoryHarness(db)
    service = harness.start_service(threads=2, plugins=[Quick, Hostile])
    await harness.submit(5, type="hostile", max_attempts=1)

    await harness.submit()

    await harness.until(lambda: harness.count("succeeded") == 1 and harness.count("failed") == 5)
    await harness.until(lambda: not service.held())
    await harness.close()
