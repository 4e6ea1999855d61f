"""One process's consumption: Dramatiq's worker, its threads and the actor between the consumer and the executor."""

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
from taskcore.plugins.cancellation import InterruptCause

IDLE_TIMEOUT_MS = 1_000
FLUSH_TIMEOUT_S = 5.0
INTERRUPT_GRACE_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class ConsumerService:
    """Serves queues until it is stopped. One a process."""

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
        """Consume from `queues` too; those that are served already are left alone."""
        for queue in queues:
            self._broker.declare_queue(queue)

    def interrupt(self, task_id: int, attempt: int, cause: InterruptCause) -> None:
        """Stop an attempt, whether it has started or not. Nothing happens where it is not here any more."""
        if self._executor.running.interrupt(task_id, attempt, cause):
            return
        claimed = self._slots.remove_unstarted(task_id, attempt)
        if claimed is not None:
            self._completer.add(_as_released(claimed))

    def fence(self) -> None:
        """The lease is about to end: stop all that runs, and begin nothing until `resume`. What has ended is kept."""
        self._slots.suspend()
        self._executor.running.interrupt_all(InterruptCause.FENCE)

    def unfence(self) -> None:
        """The lease is good again."""
        self._slots.resume()

    def request_pause(self, task_id: int, attempt: int) -> None:
        """Tell an attempt that it is to pause; one that has not started is told once it has."""
        self._executor.running.request_pause(task_id, attempt)

    def stop(self, grace_s: float) -> None:
        """Give back what was not started, let what runs end within `grace_s`, interrupt it and give back the rest."""
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
        """Return tasks to their queue, or leave that to the settler, for as long as the database is away.

        What even that cannot write is returned by whoever sees this process's end, or at the end of the lease.
        """
        try:
            self._executor.release(claimed)
        except Exception as exc:  # what runs must have its grace, whatever becomes of what does not
            log.warning("tasks.release_failed", count=len(claimed), error=first_line(exc))
            for one in claimed:
                self._completer.add(_as_released(one))

    def _interrupt_running(self) -> None:
        """What still runs at the end of the grace gets the signal, and a moment to end by itself."""
        running = self._executor.running
        if count := running.interrupt_all(InterruptCause.SHUTDOWN):
            log.warning("tasks.interrupted", count=count)
        running.wait_until_none(INTERRUPT_GRACE_S)
        self._executor.close()
        running.wait_until_none(INTERRUPT_GRACE_S / 2)

    def _stop_threads(self) -> None:
        """Consumers are told first: Dramatiq waits for its threads before, and counts what it waits once for each."""
        for consumer in self._worker.consumers.values():
            consumer.stop()
        self._worker.stop(timeout=int(INTERRUPT_GRACE_S * 1000))


def _as_released(claimed: ClaimedTask) -> FinishedAttempt:
    return FinishedAttempt(claimed.lease, claimed.type, released(Reason.WORKER_STOPPED), trace=claimed.trace)


def _declare_actor(broker: Broker, holding: SlotPool, executor: Executor, settler: BatchCompleter) -> None:
    def run(task_id: int) -> None:
        """Run the task, and then whatever else is ready: a thread is called anew only when it was idle."""
        claimed = holding.start(task_id) or holding.next_task()
        while claimed is not None:
            finished = executor.run(claimed)
            if finished is None:
                holding.release([claimed.lease])
            else:
                holding.durations.observe(claimed.type, finished.ran_s or 0.0)
                holding.finish(claimed)
                settler.add(finished)
            claimed = holding.next_task()

    dramatiq.actor(actor_name=ACTOR, broker=broker)(run)
