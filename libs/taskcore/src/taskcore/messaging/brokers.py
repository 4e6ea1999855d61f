"""Dramatiq's brokers as Taskcore uses them: no delay queues, no dead letters, and consumers that claim.

Delays wait in PostgreSQL, a message that cannot be decoded is dropped, and the executor settles every outcome of an
actor. Dramatiq's own Retries, AgeLimit and Callbacks, and the queues for them, are therefore left out.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from dramatiq import Actor, Consumer
from dramatiq import Broker as DramatiqBroker

from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.memory_transport import MemoryQueues, MemoryTransport
from taskcore.messaging.rabbit_transport import RabbitTransport
from taskcore.messaging.transports import ServedQueues, Transport
from taskcore.settings import Settings

#: How often RabbitMQ may deliver a message again. High enough to have no effect, because the database counts crashes.
#: Only RabbitMQ 4 takes -1 for "unlimited"; RabbitMQ 3 drops every message that is returned once.
DELIVERY_LIMIT = 1_000_000

#: The one queue that Dramatiq knows.
TASKS = "tasks"

#: Makes the consumer of all queues: (transport, timeout in seconds).
ConsumerFactory = Callable[[Transport, float], Consumer]


def queue_arguments(queue_type: str) -> dict[str, Any]:
    """Return the arguments of a queue's declaration, the same for the relay and the workers."""
    return {"x-queue-type": "quorum", "x-delivery-limit": DELIVERY_LIMIT} if queue_type == "quorum" else {}


class ClaimingBroker(DramatiqBroker):
    """Lets Dramatiq consume the queues `served`. `make_consumer` has to be set before a Dramatiq worker starts.

    To Dramatiq they are one queue, `TASKS`, since it starts a thread for each, and clients name as many as they like.
    """

    make_consumer: ConsumerFactory

    def __init__(self) -> None:
        super().__init__(middleware=[])
        self.served = ServedQueues()

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> Consumer:
        return self.make_consumer(self._open_transport(), timeout / 1000)

    def get_declared_queues(self) -> set[str]:
        return {TASKS}

    def declare_actor(self, actor: Actor[Any, Any]) -> None:
        """Declare no queue with the actor: messages do not come from its own."""
        self.actors[actor.actor_name] = actor

    @abstractmethod
    def _open_transport(self) -> Transport: ...


class RabbitBroker(ClaimingBroker):
    """A broker that only consumes: the relay publishes through a `RabbitPublisher`.

    Raises:
        InvalidSettings: when the files of `amqp_tls` cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self._addresses = connection_parameters(settings)
        self._prefetch = settings.worker.threads + settings.worker.prefetch_short
        self._arguments = queue_arguments(settings.queue_type)

    def _open_transport(self) -> Transport:
        return RabbitTransport(self._addresses, self.served, self._arguments, self._prefetch)


class MemoryBroker(ClaimingBroker):
    """A broker for standalone and tests: its messages live in this process only. Several may share `messages`."""

    def __init__(self, messages: MemoryQueues | None = None) -> None:
        super().__init__()
        self.messages = messages or MemoryQueues()

    def _open_transport(self) -> Transport:
        return MemoryTransport(self.messages, self.served)
