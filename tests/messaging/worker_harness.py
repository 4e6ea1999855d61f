"""A house with one broker, a publisher, and as many serving processes' insides as a test wants."""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import pika
from pydantic import SecretStr

from harness.waiting import eventually
from taskcore.db.notify import SyncNotifier
from taskcore.execution.completer import Settler
from taskcore.execution.executor import Executor
from taskcore.execution.slots import Holding
from taskcore.messaging.brokers import Broker, MemoryBroker, RabbitBroker
from taskcore.messaging.consumer_service import Service
from taskcore.messaging.publisher import MemoryPublisher, Publisher, RabbitPublisher
from taskcore.plugins import Parameters, Plugin, TaskContext, collect
from taskcore.settings import Settings
from tests.taskcore.db.db_harness import Stage, new_task

Outcome = TypeVar("Outcome")


class Nothing(Parameters, frozen=True):
    """No parameters."""


class Quick(Plugin[Nothing]):
    name = "noop"

    def run(self, ctx: TaskContext, params: Nothing) -> None:
        return None


class Gated(Plugin[Nothing]):
    """Runs until the test opens the gate."""

    name = "gated"
    gate: threading.Event

    def run(self, ctx: TaskContext, params: Nothing) -> None:
        self.gate.wait(60)


class Some(Parameters, frozen=True):
    seconds: float


class Taking(Plugin[Some]):
    """Takes its time."""

    name = "taking"

    def run(self, ctx: TaskContext, params: Some) -> None:
        ctx.wait(params.seconds)


class Waiting(Plugin[Nothing]):
    """Waits, but not on when it is interrupted."""

    name = "waiting"

    def run(self, ctx: TaskContext, params: Nothing) -> None:
        ctx.wait(600)


class House(ABC):
    """`gate` lets all `gated` tasks of all services end."""

    publisher: Publisher

    def __init__(self, stage: Stage, settings: Settings) -> None:
        self.stage = stage
        self.settings = settings
        self.gate = threading.Event()
        self._services: list[Service] = []

    @abstractmethod
    def broker(self, prefetch: int) -> Broker:
        """What another serving process consumes from."""

    @abstractmethod
    def put_raw(self, queue_name: str, body: bytes) -> None:
        """A message that nobody of ours wrote."""

    def serve(
        self,
        *queues: str,
        worker: int = 1,
        threads: int = 4,
        look_ahead: int = 0,
        plugins: Sequence[Any] = (Quick, Gated, Taking, Waiting),
    ) -> Service:
        types = collect(plugins)
        if "gated" in types:
            types["gated"].gate = self.gate  # type: ignore[attr-defined]
        executor = Executor(self.stage.engine, types, self.settings, worker_id=worker, incarnation=1)
        holding = Holding(threads=threads, look_ahead=look_ahead)
        settler = Settler(executor, holding, SyncNotifier(self.stage.engine))
        service = Service(self.broker(threads + look_ahead), holding, executor, settler, idle_timeout_ms=100)
        service.start()
        service.serve(queues or ("default",))
        self._services.append(service)
        return service

    async def submit(self, count: int = 1, **fields: Any) -> list[int]:
        """Stored, and sent as the relay would."""
        task_ids = self.stage.submit(*[new_task(**fields) for _ in range(count)])
        await self.send(task_ids, fields.get("queue", "default"))
        return task_ids

    async def send(self, task_ids: Sequence[int], queue: str = "default") -> None:
        assert await self.publisher.publish(queue, task_ids) == []

    async def stop(self, service: Service, grace_s: float = 30) -> None:
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
        return int(self.stage.sql("SELECT count(*) FROM task WHERE status = :status", status=status)[0][0])


class SharedQueues(MemoryBroker):
    """Another consumer of the same queues, as another process would be."""

    def __init__(self, owner: MemoryBroker) -> None:
        super().__init__()
        self.queues = owner.queues
        self._declared: set[str] = set()

    def declare_queue(self, queue_name: str) -> None:
        if queue_name not in self._declared:
            self._declared.add(queue_name)
            self.queues.setdefault(queue_name, queue.Queue())
            self.emit_after("declare_queue", queue_name)


class MemoryHouse(House):
    def __init__(self, stage: Stage) -> None:
        super().__init__(stage, Settings())
        self._broker = MemoryBroker()
        self.publisher = MemoryPublisher(self._broker)

    def broker(self, prefetch: int) -> Broker:
        return SharedQueues(self._broker)

    def put_raw(self, queue_name: str, body: bytes) -> None:
        self._broker.declare_queue(queue_name)
        self._broker.queues[queue_name].put(body)


class RabbitHouse(House):
    def __init__(self, stage: Stage, amqp_url: str, queue_type: str) -> None:
        super().__init__(stage, Settings(amqp_url=SecretStr(amqp_url), queue_type=queue_type))  # type: ignore[arg-type]
        self.publisher = RabbitPublisher(self.settings)

    def broker(self, prefetch: int) -> Broker:
        return RabbitBroker(self.settings, prefetch=prefetch)

    def put_raw(self, queue_name: str, body: bytes) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.settings.amqp_url.get_secret_value())) as connection:
            connection.channel().basic_publish("", queue_name, body)
