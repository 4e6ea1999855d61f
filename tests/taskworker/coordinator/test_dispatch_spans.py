"""The relay's spans, on a real database: their contexts go with the messages, and their errors stop none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.span_recorder import RaisingProcessor
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, async_engine
from taskcore.domain.outcomes import worker_lost
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import NO_CONTEXTS, Contexts, MemoryPublisher
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings
from taskworker.coordinator.database import Database
from taskworker.coordinator.relay import Relay
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

SAMPLED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


class RecordingPublisher(MemoryPublisher):
    """Remembers the messages and their contexts."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.sent: list[int] = []
        self.traceparents: dict[int, str] = {}

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        self.sent += task_ids
        self.traceparents |= contexts
        return await super().publish(queue, task_ids, contexts)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="tests", pool_size=2, options=KEY_LOOKUP_OPTIONS)
    yield engine
    await engine.dispose()


def submit_traced(db: DatabaseHarness, count: int, trace_context: str = SAMPLED) -> list[int]:
    db.register_worker()
    ids = db.submit(*[new_task() for _ in range(count)])
    db.sql("UPDATE task SET trace_context = :context", context=trace_context)
    return ids


async def relay_once(engine: AsyncEngine, tracing: Tracing) -> RecordingPublisher:
    publisher = RecordingPublisher()
    await Relay(Database(engine), publisher, CurrentSettings(Settings()), tracing=tracing).step()
    return publisher


async def test_message_of_a_traced_task_carries_the_context_of_its_span(
    db: DatabaseHarness, engine: AsyncEngine, tracing: Tracing
) -> None:
    ids = submit_traced(db, 2)

    publisher = await relay_once(engine, tracing)

    assert sorted(publisher.traceparents) == publisher.sent == ids
    assert {context.split("-")[1] for context in publisher.traceparents.values()} == {"a" * 32}


@pytest.mark.parametrize(("trace_context", "trace_id"), [("nonsense", "a" * 32), (SAMPLED, "nonsense"), ("\t", "")])
async def test_malformed_contexts_stop_no_message(
    db: DatabaseHarness, engine: AsyncEngine, tracing: Tracing, trace_context: str, trace_id: str
) -> None:
    (task_id,) = submit_traced(db, 1, trace_context)
    db.run_to_end(task_id, worker_lost(0))
    db.sql("UPDATE task_attempt SET trace_id = :trace_id, span_id = 'x'", trace_id=trace_id)
    db.make_due(task_id)

    publisher = await relay_once(engine, tracing)

    assert publisher.sent == [task_id]


@pytest.mark.parametrize("moment", ["start", "end"])
async def test_span_processors_that_raise_stop_no_message(
    db: DatabaseHarness, engine: AsyncEngine, moment: str
) -> None:
    ids = submit_traced(db, 2)

    publisher = await relay_once(
        engine, Tracing.start(Settings(), "tests", extra_processors=[RaisingProcessor(moment)])
    )

    assert publisher.sent == ids
