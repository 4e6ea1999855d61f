"""What a process consumes: Dramatiq's worker, its threads, and the actor that passes claimed tasks to the executor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import dramatiq
import structlog
from dramatiq.worker import Worker

from taskcore.domain.outcomes import Reason, released
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.errors import first_line
from taskcore.execution.completer import BatchCompleter
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SlotPool
from taskcore.messaging.brokers import Broker, consumer_factory
from taskcore.messaging.messages import ACTOR
from taskcore.plugins.interrupts import InterruptCause

IDLE_TIMEOUT_MS = 1_000
FLUSH_TIMEOUT_S = 5.0
INTERRUPT_GRACE_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class ConsumerService:
    """Consumes queues until it is stopped. A process has one."""

    def __init__(
        self,
        broker: Broker,
        slots: SlotPool,
        executor: Executor,
        completer: BatchCompleter,
        *,
        idle_timeout_ms: int = IDLE_TIMEOUT_MS,
    ) -> None:
        self._broker = broker
        self._slots = slots
        self._executor = executor
        self._completer = completer
        broker.make_consumer = consumer_factory(slots, executor)
        _declare_actor(broker, slots, executor, completer)
        self._worker = Worker(broker, worker_threads=slots.threads, worker_timeout=idle_timeout_ms)

    def start(self) -> None:
        self._completer.start()
        self._worker.start()

    def consume(self, queues: Iterable[str]) -> None:
        """Consume `queues`, too. Queues that are consumed already stay so."""
        for queue in queues:
            self._broker.declare_queue(queue)

    def interrupt(self, task_id: int, attempt: int, cause: InterruptCause) -> None:
        """Stop an attempt, whether it has started or not. Do nothing if it is not here."""
        if self._executor.running.interrupt(task_id, attempt, cause):
            return
        claimed = self._slots.remove_unstarted(task_id, attempt)
        if claimed is not None:
            self._completer.add(_as_released(claimed))

    def set_fence(self, is_up: bool) -> None:
        """Interrupt all attempts and start none while the fence is up. Results that are not stored yet are kept."""
        if is_up:
            self._executor.discard(self._slots.suspend())
            self._executor.running.interrupt_all(InterruptCause.FENCE)
        else:
            self._slots.resume()

    def request_pause(self, task_id: int, attempt: int) -> None:
        """Ask an attempt to pause, now or as soon as it has started."""
        self._executor.running.request_pause(task_id, attempt)

    def stop(self, grace_s: float) -> None:
        """Release tasks that have not started, and let the others finish within `grace_s`.

        What still runs then is interrupted, and released if that does not end it.
        """
        deadline = time.monotonic() + grace_s
        self.release(self._slots.close())
        self._slots.wait_until_idle(deadline - time.monotonic())
        self._interrupt_running()
        self._stop_threads()
        self._completer.stop(max(0.0, deadline - time.monotonic()) + FLUSH_TIMEOUT_S)
        unfinished = self._slots.snapshot()
        if unfinished:
            log.warning("tasks.released", count=len(unfinished))
        self.release(unfinished)

    def release(self, claimed: Sequence[ClaimedTask]) -> None:
        """Return tasks to their queue. While the database is unavailable, leave that to the completer.

        The supervisor or the rescuer recovers those that the completer cannot write before this process ends.
        """
        try:
            self._executor.release(claimed)
        except Exception as exc:  # the running attempts must have their grace in any case
            log.warning("tasks.release_failed", count=len(claimed), error=first_line(exc))
            for task in claimed:
                self._completer.add(_as_released(task))

    def _interrupt_running(self) -> None:
        """Interrupt what still runs after the grace, and leave it a moment to end."""
        running = self._executor.running
        if count := running.interrupt_all(InterruptCause.SHUTDOWN):
            log.warning("tasks.interrupted", count=count)
        running.wait_until_none(INTERRUPT_GRACE_S)
        self._executor.close()
        running.wait_until_none(INTERRUPT_GRACE_S / 2)

    def _stop_threads(self) -> None:
        """Stop the consumers first: `Worker.stop` itself tells them only after it has waited for its other threads."""
        for consumer in self._worker.consumers.values():
            consumer.stop()
        self._worker.stop(timeout=int(INTERRUPT_GRACE_S * 1000))


def _as_released(claimed: ClaimedTask) -> FinishedAttempt:
    return FinishedAttempt(claimed.lease, claimed.type, released(Reason.WORKER_STOPPED))


def _declare_actor(broker: Broker, slots: SlotPool, executor: Executor, completer: BatchCompleter) -> None:
    def run(task_id: int) -> None:
        """Run the task, then every other that is ready: the broker calls a thread only when it is idle."""
        claimed = slots.start(task_id) or slots.next_task()
        while claimed is not None:
            finished = executor.run(claimed)
            if finished is None:
                slots.release([claimed.lease])
            else:
                slots.durations.observe(claimed.type, finished.ran_s or 0.0)
                slots.finish(claimed)
                completer.add(finished)
            claimed = slots.next_task()

    dramatiq.actor(actor_name=ACTOR, broker=broker)(run)
