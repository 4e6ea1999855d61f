"""A broker, a publisher, and any number of consumer services that stand for one process each."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pika
from pydantic import SecretStr

from harness.waiting import eventually
from taskcore.messaging.brokers import ClaimingBroker, MemoryBroker, RabbitBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.messaging.publisher import MemoryPublisher, Publisher, RabbitPublisher
from taskcore.plugins import Parameters, Plugin, TaskContext, build_plugins
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import DatabaseHarness, new_task

Outcome = TypeVar("Outcome")


class NoParameters(Parameters, frozen=True):
    """No parameters."""


class Quick(Plugin[NoParameters]):
    name = "noop"

    def run(self, ctx: TaskContext, params: NoParameters) -> None:
        return None


class Gated(Plugin[NoParameters]):
    """Runs until the test opens the gate."""

    name = "gated"
    gate: threading.Event

    def run(self, ctx: TaskContext, params: NoParameters) -> None:
        self.gate.wait(60)


class SleepParameters(Parameters, frozen=True):
    seconds: float


class Sleeping(Plugin[SleepParameters]):
    """Runs for the time that its parameters say."""

    name = "sleeping"

    def run(self, ctx: TaskContext, params: SleepParameters) -> None:
        ctx.wait(params.seconds)


class Waiting(Plugin[NoParameters]):
    """Waits until it is interrupted."""

    name = "waiting"

    def run(self, ctx: TaskContext, params: NoParameters) -> None:
        ctx.wait(600)


class WorkerHarness(ABC):
    """`gate` lets the `gated` tasks of all services finish."""

    publisher: Publisher

    def __init__(self, database: DatabaseHarness, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.gate = threading.Event()
        self._services: list[ConsumerService] = []

    @abstractmethod
    def broker(self, settings: Settings) -> ClaimingBroker:
        """Make the broker of another service."""

    @abstractmethod
    def put_raw(self, queue_name: str, body: bytes) -> None:
        """Put a message on the queue that Taskcore did not write."""

    def start_service(
        self,
        *queues: str,
        worker: int = 1,
        threads: int = 4,
        prefetch_short: int = 0,
        plugins: Sequence[Any] = (Quick, Gated, Sleeping, Waiting),
    ) -> ConsumerService:
        types = build_plugins(plugins)
        if "gated" in types:
            types["gated"].gate = self.gate  # type: ignore[attr-defined]
        limits = self.settings.worker.model_copy(update={"threads": threads, "prefetch_short": prefetch_short})
        settings = self.settings.model_copy(update={"worker": limits})
        engine, broker = self.database.engine, self.broker(settings)
        service = ConsumerService(settings, engine, broker, types, worker_id=worker, incarnation=1, idle_timeout_ms=100)
        service.start()
        service.consume(queues or ("default",))
        self._services.append(service)
        return service

    async def submit(self, count: int = 1, **fields: Any) -> list[int]:
        """Store tasks and send their messages, as the relay does."""
        task_ids = self.database.submit(*[new_task(**fields) for _ in range(count)])
        await self.send(task_ids, fields.get("queue", "default"))
        return task_ids

    async def send(self, task_ids: Sequence[int], queue: str = "default") -> None:
        assert await self.publisher.publish(queue, task_ids) == []

    async def stop(self, service: ConsumerService, grace_s: float = 30) -> None:
        self._services.remove(service)
        await asyncio.to_thread(service.stop, grace_s)

    async def close(self) -> None:
        self.gate.set()
        for service in list(self._services):
            await self.stop(service)
        await self.publisher.close()

    async def until(self, outcome: Callable[[], Outcome]) -> Outcome:
        return await asyncio.to_thread(eventually, outcome)

    def count(self, status: str) -> int:
        return int(self.database.sql("SELECT count(*) FROM task WHERE status = :status", status=status)[0][0])


class MemoryHarness(WorkerHarness):
    def __init__(self, database: DatabaseHarness) -> None:
        super().__init__(database, Settings())
        self._broker = MemoryBroker()
        self.publisher = MemoryPublisher(self._broker)

    def broker(self, settings: Settings) -> ClaimingBroker:
        return MemoryBroker(self._broker.messages)  # another consumer of the same queues, like another process

    def put_raw(self, queue_name: str, body: bytes) -> None:
        self._broker.messages.put(queue_name, [body])


class RabbitHarness(WorkerHarness):
    def __init__(self, database: DatabaseHarness, amqp_url: str, queue_type: str) -> None:
        super().__init__(database, Settings(amqp_url=SecretStr(amqp_url), queue_type=queue_type))  # type: ignore[arg-type]
        self.publisher = RabbitPublisher(self.settings)

    def broker(self, settings: Settings) -> ClaimingBroker:
        return RabbitBroker(settings)

    def put_raw(self, queue_name: str, body: bytes) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.settings.amqp_url.get_secret_value())) as connection:
            connection.channel().basic_publish("", queue_name, body)
