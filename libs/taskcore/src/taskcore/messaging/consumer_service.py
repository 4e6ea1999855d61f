"""What a process consumes: Dramatiq's worker, its threads, and the executor that runs the tasks they claim."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import partial

import dramatiq
import structlog
from dramatiq.worker import Worker
from sqlalchemy import Engine

from taskcore.db.notify import SyncNotifier
from taskcore.domain.outcomes import Reason, could_not_start, released
from taskcore.domain.tasks import AttemptKey, ClaimedTask, FinishedAttempt
from taskcore.errors import first_line
from taskcore.execution.completer import BatchCompleter
from taskcore.execution.executor import Executor
from taskcore.execution.report_writer import ReportWriter
from taskcore.execution.running_attempts import AttemptAbandoned, AttemptTable, RunningAttempts
from taskcore.execution.services import DatabaseServices
from taskcore.execution.slots import SlotPool
from taskcore.messaging.brokers import ClaimingBroker
from taskcore.messaging.consumer import ClaimingConsumer
from taskcore.messaging.messages import ACTOR
from taskcore.messaging.replacement_threads import ReplacementThreads
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import Plugins
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings

IDLE_TIMEOUT_MS = 1_000
FLUSH_TIMEOUT_S = 5.0
INTERRUPT_GRACE_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class ConsumerService:
    """Consumes queues until it is stopped. A process has one: the `incarnation`-th of the worker `worker_id`."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        broker: ClaimingBroker,
        plugins: Plugins,
        *,
        worker_id: int,
        incarnation: int,
        attempt_table: AttemptTable | None = None,
        tracing: Tracing = NO_TRACING,
        observers: Sequence[AttemptObserver] = (),
        idle_timeout_ms: int = IDLE_TIMEOUT_MS,
    ) -> None:
        self._broker = broker
        self.slots = SlotPool(threads=settings.worker.threads, prefetch_short=settings.worker.prefetch_short)
        self.report_writer = ReportWriter(engine)
        self.executor = Executor(
            engine,
            plugins,
            settings,
            worker_id=worker_id,
            incarnation=incarnation,
            running=RunningAttempts(attempt_table),
            make_services=partial(DatabaseServices, engine, self.report_writer, settings),
            flush_reports=self.report_writer.flush,
            tracing=tracing,
            observers=observers,
        )
        self._completer = BatchCompleter(self.executor, self.slots, SyncNotifier(engine))
        broker.make_consumer = partial(ClaimingConsumer, self.slots, self.executor)
        dramatiq.actor(actor_name=ACTOR, broker=broker)(self._run)
        self._worker = Worker(broker, worker_threads=self.slots.threads, worker_timeout=idle_timeout_ms)
        self._threads = ReplacementThreads(self._worker)

    def start(self) -> None:
        self.report_writer.start()
        self._completer.start()
        self._worker.start()

    def consume(self, queues: Iterable[str]) -> None:
        """Consume these queues and no others."""
        self._broker.served.replace(queues)

    def held(self) -> frozenset[AttemptKey]:
        """Return the attempts that are claimed and not settled yet."""
        return frozenset((task.lease.task_id, task.lease.attempt) for task in self.slots.snapshot())

    def interrupt(self, key: AttemptKey, cause: InterruptCause) -> None:
        """Stop an attempt, whether it has started or not. Do nothing if it is not here."""
        if self.executor.running.interrupt(*key, cause):
            return
        claimed = self.slots.remove_unstarted(*key)
        if claimed is not None:
            self._completer.add(_as_released(claimed))

    def set_fence(self, is_up: bool) -> None:
        """Interrupt all attempts and start none while the fence is up. Results that are not stored yet are kept."""
        if is_up:
            self.executor.discard(self.slots.suspend())
            self.executor.running.interrupt_all(InterruptCause.FENCE)
        else:
            self.slots.resume()

    def request_pause(self, key: AttemptKey) -> None:
        """Ask an attempt to pause, now or as soon as it has started."""
        self.executor.running.request_pause(*key)

    def stop(self, grace_s: float) -> None:
        """Release tasks that have not started, and let the others finish within `grace_s`.

        What still runs then is interrupted, and released if that does not end it.
        """
        deadline = time.monotonic() + grace_s
        self.release(self.slots.close())
        self.slots.wait_until_idle(deadline - time.monotonic())
        self._interrupt_running()
        self._stop_threads()
        self._completer.stop(max(0.0, deadline - time.monotonic()) + FLUSH_TIMEOUT_S)
        unfinished = self.slots.snapshot()
        if unfinished:
            log.warning("tasks.released", count=len(unfinished))
        self.release(unfinished)

    def abandon_stuck(self, after_s: float) -> None:
        """Settle the attempts that have not stopped `after_s` after their interrupt. New threads replace theirs."""
        stuck = self.executor.abandon_stuck(after_s)
        for claimed, finished in stuck:
            self.slots.forget_thread()
            self._finish(claimed, finished)
        self._threads.replace(len(stuck))

    def release(self, claimed: Sequence[ClaimedTask]) -> None:
        """Return tasks to their queue. While the database is unavailable, leave that to the completer.

        The supervisor or the rescuer recovers those that the completer cannot write before this process ends.
        """
        try:
            self.executor.release(claimed)
        except Exception as exc:  # the running attempts must have their grace in any case
            log.warning("tasks.release_failed", count=len(claimed), error=first_line(exc))
            for task in claimed:
                self._completer.add(_as_released(task))

    def _run(self, task_id: int) -> None:
        """Run the task, then every other that is ready: the broker calls a thread only when it is idle."""
        claimed = self.slots.start(task_id) or self.slots.next_task()
        while claimed is not None:
            try:
                finished = self.executor.run(claimed)
            except AttemptAbandoned:
                self._threads.put_back(claimed)
                return
            except BaseException:  # such as no memory even for a description; the thread and the slot must be free
                log.exception("attempt.could_not_run", task_id=claimed.lease.task_id)
                finished = _as_not_run(claimed)
            self._finish(claimed, finished)
            claimed = self.slots.next_task()

    def _finish(self, claimed: ClaimedTask, finished: FinishedAttempt | None) -> None:
        if finished is None:
            self.slots.release([claimed.lease])
        else:
            self.slots.durations.observe(claimed.type, finished.ran_s or 0.0)
            self.slots.finish(claimed)
            self._completer.add(finished)

    def _interrupt_running(self) -> None:
        """Interrupt what still runs after the grace, and leave it a moment to end."""
        running = self.executor.running
        if count := running.interrupt_all(InterruptCause.SHUTDOWN):
            log.warning("tasks.interrupted", count=count)
        running.wait_until_none(INTERRUPT_GRACE_S)
        self.executor.close()
        running.wait_until_none(INTERRUPT_GRACE_S / 2)

    def _stop_threads(self) -> None:
        """Stop the consumers first: `Worker.stop` itself tells them only after it has waited for its other threads."""
        for consumer in self._worker.consumers.values():
            consumer.stop()
        self._worker.stop(timeout=int(INTERRUPT_GRACE_S * 1000))


def _as_released(claimed: ClaimedTask) -> FinishedAttempt:
    return FinishedAttempt(claimed.lease, claimed.type, released(Reason.WORKER_STOPPED))


def _as_not_run(claimed: ClaimedTask) -> FinishedAttempt:
    result = could_not_start(claimed.worker_losses, "the worker could not run it")
    return FinishedAttempt(claimed.lease, claimed.type, result)
