"""The relay's rounds, with a fake database and a fake broker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from taskcore.db.queues import loads, outbox, unserved
from taskcore.live_settings import CurrentSettings
from taskcore.messaging.publisher import NO_CONTEXTS, Contexts
from taskcore.settings import CoordinatorSettings, Settings
from taskworker.coordinator.relay import Relay
from taskworker.coordinator.relay_window import IDLE_S, MIN_PAUSE_S
from tests.taskworker.coordinator.fake_database import FakeDatabase, row

RESEND_AFTER_S = 7.0


class FakePublisher:
    """A broker that confirms all messages but those in `unconfirmed`."""

    def __init__(self) -> None:
        self.published: list[tuple[str, list[int]]] = []
        self.unconfirmed: list[int] = []
        self.ready: int | None = 0
        self.refused: set[str] = set()
        self.is_available = True

    async def connect(self) -> bool:
        return self.is_available

    def is_ready(self, queue: str) -> bool:
        return queue not in self.refused

    async def delete_queue(self, queue: str) -> bool:
        return False

    async def publish(self, queue: str, task_ids: Sequence[int], contexts: Contexts = NO_CONTEXTS) -> list[int]:
        self.published.append((queue, list(task_ids)))
        return [task_id for task_id in task_ids if task_id in self.unconfirmed]

    async def ready_count(self, queue: str) -> int | None:
        return self.ready

    async def is_worker_gone(self, worker_id: int) -> bool:
        return False

    async def close(self) -> None:
        pass


@pytest.fixture
def database() -> FakeDatabase:
    """An outbox with an endless backlog in each queue, and no delayed rows."""
    database, task_ids = FakeDatabase(), count(1)
    database.on(loads.served_types(), lambda: [row(queues=[], types=["noop"])])
    database.on(outbox.next_due(), lambda: [(None,)])
    database.on(outbox.dispatch(), lambda of, room, types: [row(task_id=next(task_ids)) for _ in range(room)])
    return database


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def relay(database: FakeDatabase, publisher: FakePublisher) -> Relay:
    settings = Settings(coordinator=CoordinatorSettings(resend_after_s=RESEND_AFTER_S))
    return Relay(database, publisher, CurrentSettings(settings))


def set_loads(database: FakeDatabase, *queues: tuple[str, int, int], has_backlog: bool = True) -> None:
    """Set each queue's name, messages in flight and live slots."""
    rows = [
        row(
            name=name,
            head_type="noop" if has_backlog else None,
            in_flight=in_flight,
            live_slots=slots,
            has_parked=False,
        )
        for name, in_flight, slots in queues
    ]
    database.on(loads.queue_loads(), lambda: rows)


async def test_each_queue_gets_as_many_messages_as_its_window_has_room(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 0, 2), ("mail", 3, 2), ("full", 4, 2), ("unserved", 0, 0))

    await relay.step()

    assert publisher.published == [("default", [1, 2, 3, 4]), ("mail", [5])]


async def test_queue_without_a_backlog_gets_nothing(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 0, 2), has_backlog=False)

    assert await relay.step() == IDLE_S
    assert publisher.published == []


async def test_messages_that_the_broker_did_not_confirm_go_back_to_the_outbox(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 0, 2))
    publisher.unconfirmed = [2, 4]

    await relay.step()

    assert database.calls(outbox.undispatch()) == [{"ids": [2, 4]}]


async def test_nothing_is_marked_for_a_queue_that_the_broker_refuses(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("refused", 0, 2), ("mail", 0, 1))
    publisher.refused = {"refused"}

    await relay.step()

    assert [queue for queue, _ in publisher.published] == ["mail"]
    assert [call["of"] for call in database.calls(outbox.dispatch())] == ["mail"]


async def test_nothing_is_marked_while_the_broker_cannot_be_reached(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 0, 2))
    publisher.is_available = False

    pause_s = await relay.step()

    assert database.calls(outbox.dispatch()) == []
    assert pause_s < IDLE_S


async def test_delayed_rows_are_promoted_until_none_is_due(database: FakeDatabase, relay: Relay) -> None:
    waits: Iterator[Any] = iter([(-5.0,), (0.25,)])
    batches = iter([[row()] * outbox.DUE_LIMIT, [row()]])
    database.on(outbox.next_due(), lambda: [next(waits)])
    database.on(outbox.promote_due(), lambda: next(batches))

    pause_s = await relay.step()

    assert len(database.calls(outbox.promote_due())) == 2
    assert MIN_PAUSE_S <= pause_s <= 0.25


async def test_messages_that_are_older_than_what_the_broker_still_has_are_lost(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 4, 2), ("empty", 0, 2), has_backlog=False)
    database.on(outbox.undispatch_lost(), lambda of, ready, after_s: [row(task_id=1)])
    publisher.ready = 3

    await relay.step()

    assert database.calls(outbox.undispatch_lost()) == [{"of": "default", "ready": 3, "after_s": RESEND_AFTER_S}]


async def test_nothing_is_lost_as_long_as_the_broker_cannot_say(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    set_loads(database, ("default", 4, 2), has_backlog=False)
    publisher.ready = None

    await relay.step()

    assert database.calls(outbox.undispatch_lost()) == []


async def test_tasks_of_unserved_types_are_parked_in_a_queue_with_workers(
    database: FakeDatabase, publisher: FakePublisher, relay: Relay
) -> None:
    load = {"head_type": "rare", "in_flight": 0, "has_parked": False}
    queues = [row(name="served", live_slots=2, **load), row(name="without_workers", live_slots=0, **load)]
    database.on(loads.queue_loads(), lambda: queues)

    await relay.step()

    assert database.calls(unserved.park()) == [{"of": "served", "types": ["noop"]}]
    assert database.calls(outbox.dispatch()) == [{"of": "served", "room": 4, "types": ["noop"]}]


async def test_parked_tasks_come_back_and_the_next_round_starts_at_once(database: FakeDatabase, relay: Relay) -> None:
    load = row(name="served", head_type=None, in_flight=0, live_slots=2, has_parked=True)
    database.on(loads.queue_loads(), lambda: [load])
    database.on(unserved.unpark(), lambda of, types: [row(task_id=1)])

    await relay.step()

    assert database.calls(unserved.unpark()) == [{"of": "served", "types": ["noop"]}]
    await asyncio.wait_for(relay._wakeup.wait(3_600), 60)


async def test_types_are_read_once_a_round_however_many_queues_have_parked_tasks(
    database: FakeDatabase, relay: Relay
) -> None:
    load = {"head_type": None, "in_flight": 0, "live_slots": 2, "has_parked": True}
    database.on(loads.queue_loads(), lambda: [row(name=f"queue-{number}", **load) for number in range(5)])

    await relay.step()
    await relay.step()

    assert len(database.calls(unserved.unpark())) == 5
    assert len(database.calls(loads.served_types())) == 2


async def test_parked_tasks_are_looked_for_again_when_a_worker_knows_more(database: FakeDatabase, relay: Relay) -> None:
    load = row(name="served", head_type=None, in_flight=0, live_slots=2, has_parked=True)
    database.on(loads.queue_loads(), lambda: [load])
    await relay.step()
    await relay.step()
    database.on(loads.served_types(), lambda: [row(queues=["served"], types=["noop", "rare"])])

    await relay.step()

    assert database.calls(unserved.unpark()) == [
        {"of": "served", "types": ["noop"]},
        {"of": "served", "types": ["noop", "rare"]},
    ]
