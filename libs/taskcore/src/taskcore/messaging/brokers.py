"""Dramatiq's brokers as Taskcore uses them: no delay queues, no dead letters, and consumers that claim.

Delays wait in PostgreSQL, a message that cannot be decoded is dropped, and the executor settles every outcome of an
actor. Dramatiq's own Retries, AgeLimit and Callbacks, and the queues for them, are therefore left out.
"""

from __future__ import annotations

import queue
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from dramatiq import Actor, Consumer
from dramatiq import Broker as DramatiqBroker
from dramatiq.brokers.stub import StubBroker

from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.transports import RabbitTransport, StubTransport, Transport
from taskcore.settings import Settings

#: How often RabbitMQ may deliver a message again. High enough to have no effect, because the database counts crashes.
#: Only RabbitMQ 4 takes -1 for "unlimited"; RabbitMQ 3 drops every message that is returned once.
DELIVERY_LIMIT = 1_000_000

#: Makes the consumer of one queue: (transport, queue name, timeout in seconds).
ConsumerFactory = Callable[[Transport, str, float], Consumer]


def queue_arguments(queue_type: str) -> dict[str, Any]:
    """Return the arguments of a queue's declaration, the same for the relay and the workers."""
    return {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT} if queue_type == "quorum" else {}


class _ClaimingBroker(DramatiqBroker):
    """A broker for claiming consumers. `make_consumer` has to be set before a Dramatiq worker starts."""

    make_consumer: ConsumerFactory

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        return self.make_consumer(self._open_transport(queue_name), queue_name, timeout / 1000)

    @abstractmethod
    def _open_transport(self, queue_name: str) -> Transport: ...

    def declare_actor(self, actor: Actor[Any, Any]) -> None:
        """Declare no queue with the actor; Dramatiq's own would make every worker consume `default`."""
        self.emit_before("declare_actor", actor)
        self.actors[actor.actor_name] = actor
        self.emit_after("declare_actor", actor)


class RabbitBroker(_ClaimingBroker):
    """A broker that only consumes: the relay publishes through a `RabbitPublisher`."""

    def __init__(self, settings: Settings) -> None:
        self._addresses = connection_parameters(settings)
        super().__init__(middleware=[])
        self._prefetch = settings.worker.threads + settings.worker.prefetch_short
        self._arguments = queue_arguments(settings.queue_type)

    def declare_queue(self, queue_name: str, *, ensure: bool = False) -> None:
        """Add the queue to those that are consumed; its consumer declares it to the server whenever it connects."""
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = None
            self.emit_after("declare_queue", queue_name)

    def _open_transport(self, queue_name: str) -> Transport:
        return RabbitTransport(self._addresses, queue_name, self._arguments, self._prefetch)


class MemoryBroker(_ClaimingBroker, StubBroker):
    """A broker for standalone and tests. Its messages live in this process only; losing them loses no task."""

    def __init__(self) -> None:
        super().__init__(middleware=[])

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self.queues:
            self.emit_before("declare_queue", queue_name)
            self.queues[queue_name] = queue.Queue()
            self.emit_after("declare_queue", queue_name)

    def _open_transport(self, queue_name: str) -> Transport:
        return StubTransport(self.queues[queue_name])


Broker = RabbitBroker | MemoryBroker
