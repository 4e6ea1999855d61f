"""The queues in memory."""

from __future__ import annotations

import pytest

from taskcore.messaging.memory_transport import MemoryQueues, MemoryTransport
from taskcore.messaging.messages import encode
from taskcore.messaging.transports import ServedQueues


@pytest.fixture
def queues() -> MemoryQueues:
    return MemoryQueues()


def transport(queues: MemoryQueues, *served: str) -> MemoryTransport:
    return MemoryTransport(queues, ServedQueues(served))


def put(queues: MemoryQueues, queue: str, *task_ids: int) -> None:
    queues.put(queue, [encode(queue, task_id) for task_id in task_ids])


def test_queues_take_turns(queues: MemoryQueues) -> None:
    put(queues, "busy", 1, 2, 3, 4)
    put(queues, "calm", 11)

    received = transport(queues, "busy", "calm").receive(4, 0)

    assert [one.task_id for one in received] == [1, 11, 2, 3]


def test_messages_that_are_requeued_keep_their_order(queues: MemoryQueues) -> None:
    put(queues, "default", 1, 2, 3)
    one = transport(queues, "default")

    one.requeue(one.receive(2, 0))

    assert [each.task_id for each in one.receive(3, 0)] == [1, 2, 3]


def test_messages_of_a_consumer_that_is_closed_go_to_another(queues: MemoryQueues) -> None:
    put(queues, "default", 1, 2)
    one = transport(queues, "default")
    one.acknowledge(one.receive(1, 0), multiple=True)
    one.receive(1, 0)

    one.close()

    assert [each.task_id for each in transport(queues, "default").receive(9, 0)] == [2]


def test_receiving_ends_once_another_queue_is_served(queues: MemoryQueues) -> None:
    served = ServedQueues()
    one = MemoryTransport(queues, served)
    put(queues, "new", 1)

    served.replace(["new"])

    assert [each.task_id for each in one.receive(1, 60)] == [1]
