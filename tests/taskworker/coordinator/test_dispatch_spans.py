"""Messages are sent whatever becomes of their spans, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from harness.span_recorder import Raising
from taskcore.db.engine import BY_KEY, async_engine
from taskcore.domain.outcomes import lost
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.publisher import NONE, MemoryPublisher
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings
from taskworker.coordinator.relay import Relay
from tests.taskcore.db.db_harness import Stage, new_task

FOLLOWED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


class Told(MemoryPublisher):
    """Remembers what was sent, and with which contexts."""

    def __init__(self) -> None:
        super().__init__(MemoryBroker())
        self.sent: list[int] = []
        self.contexts: dict[int, str] = {}

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Mapping[int, str] = NONE) -> list[int]:
        self.sent += task_ids
        self.contexts |= contexts
        return await super().publish(queue, task_ids, contexts)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = async_engine(database_url, name="tests", pool_size=2, options=BY_KEY)
    yield engine
    await engine.dispose()


def submit_followed(stage: Stage, count: int, trace_context: str = FOLLOWED) -> list[int]:
    stage.worker()
    ids = stage.submit(*[new_task() for _ in range(count)])
    stage.sql("UPDATE task SET trace_context = :context", context=trace_context)
    return ids


async def sent(engine: AsyncEngine, tracing: Tracing) -> Told:
    publisher = Told()
    await Relay(engine, publisher, CurrentSettings(Settings()), tracing=tracing).step()
    return publisher


async def test_what_is_followed_is_sent_with_its_context(stage: Stage, engine: AsyncEngine, tracing: Tracing) -> None:
    ids = submit_followed(stage, 2)

    publisher = await sent(engine, tracing)

    assert sorted(publisher.contexts) == publisher.sent == ids
    assert {context.split("-")[1] for context in publisher.contexts.values()} == {"a" * 32}


@pytest.mark.parametrize(("trace_context", "trace_id"), [("nonsense", "a" * 32), (FOLLOWED, "nonsense"), ("\t", "")])
async def test_contexts_that_are_none_hold_up_no_message(
    stage: Stage, engine: AsyncEngine, tracing: Tracing, trace_context: str, trace_id: str
) -> None:
    (task_id,) = submit_followed(stage, 1, trace_context)
    stage.end(task_id, lost(0))
    stage.sql("UPDATE task_attempt SET trace_id = :trace_id, span_id = 'x'", trace_id=trace_id)
    stage.make_due(task_id)

    publisher = await sent(engine, tracing)

    assert publisher.sent == [task_id]


@pytest.mark.parametrize("moment", ["start", "end"])
async def test_spans_that_raise_hold_up_no_message(stage: Stage, engine: AsyncEngine, moment: str) -> None:
    ids = submit_followed(stage, 2)

    publisher = await sent(engine, Tracing.start(Settings(), "tests", also=[Raising(moment)]))

    assert publisher.sent == ids
