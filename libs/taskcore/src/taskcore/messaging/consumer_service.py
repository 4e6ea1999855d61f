"""One process's consumption: Dramatiq's worker, its threads and the actor between the consumer and the executor."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

import dramatiq
import structlog
from dramatiq.worker import Worker

from taskcore.domain.outcomes import Reason, returned
from taskcore.domain.tasks import Claimed, Finished
from taskcore.execution.completer import Settler
from taskcore.execution.executor import Executor
from taskcore.execution.slots import Holding
from taskcore.messaging.brokers import Broker, claiming
from taskcore.messaging.messages import ACTOR
from taskcore.plugins.cancellation import Cause

IDLE_TIMEOUT_MS = 1_000
FLUSH_S = 5.0
LAST_MOMENT_S = 1.0

log = structlog.stdlib.get_logger(__name__)


class Service:
    """Serves queues until it is stopped. One a process."""

    def __init__(
        self,
        broker: Broker,
        holding: Holding,
        executor: Executor,
        settler: Settler,
        *,
        idle_timeout_ms: int = IDLE_TIMEOUT_MS,
    ) -> None:
        self._broker = broker
        self._holding = holding
        self._executor = executor
        self._settler = settler
        broker.make_consumer = claiming(holding, executor)
        _declare_actor(broker, holding, executor, settler)
        self._worker = Worker(broker, worker_threads=holding.threads, worker_timeout=idle_timeout_ms)

    def start(self) -> None:
        self._settler.start()
        self._worker.start()

    def serve(self, queues: Iterable[str]) -> None:
        """Consume from `queues` too; those that are served already are left alone."""
        for queue in queues:
            self._broker.declare_queue(queue)

    def interrupt(self, task_id: int, attempt: int, cause: Cause) -> None:
        """Stop an attempt, whether it has started or not. Nothing happens where it is not here any more."""
        if self._executor.running.interrupt(task_id, attempt, cause):
            return
        claimed = self._holding.withdraw(task_id, attempt)
        if claimed is not None:
            self._settler.add(_not_done(claimed))

    def fence(self) -> None:
        """The lease is about to end: stop all that runs, and begin nothing until `resume`. What has ended is kept."""
        self._holding.suspend()
        self._executor.running.interrupt_all(Cause.FENCE)

    def resume(self) -> None:
        """The lease is good again."""
        self._holding.resume()

    def request_pause(self, task_id: int, attempt: int) -> None:
        """Tell an attempt that it is to pause; one that has not started is told once it has."""
        self._executor.running.request_pause(task_id, attempt)

    def stop(self, grace_s: float) -> None:
        """Give back what was not started, let what runs end within `grace_s`, interrupt it and give back the rest."""
        deadline = time.monotonic() + grace_s
        self.give_back(self._holding.close())
        self._holding.wait_until_idle(deadline - time.monotonic())
        self._end_what_runs()
        self._end_threads()
        self._settler.stop(max(0.0, deadline - time.monotonic()) + FLUSH_S)
        unfinished = self._holding.held()
        if unfinished:
            log.warning("tasks.given_back", count=len(unfinished))
        self.give_back(unfinished)

    def give_back(self, held: Sequence[Claimed]) -> None:
        """Return tasks to their queue, or leave that to the settler, for as long as the database is away.

        What even that cannot write is returned by whoever sees this process's end, or at the end of the lease.
        """
        try:
            self._executor.give_back(held)
        except Exception as exc:  # what runs must have its grace, whatever becomes of what does not
            log.warning("tasks.not_given_back", count=len(held), error=str(exc).partition("\n")[0])
            for one in held:
                self._settler.add(_not_done(one))

    def _end_what_runs(self) -> None:
        """What still runs at the end of the grace gets the signal, and a moment to end by itself."""
        running = self._executor.running
        if count := running.interrupt_all(Cause.SHUTDOWN):
            log.warning("tasks.interrupted", count=count)
        running.wait_until_none(LAST_MOMENT_S)
        self._executor.close()
        running.wait_until_none(LAST_MOMENT_S / 2)

    def _end_threads(self) -> None:
        """Consumers are told first: Dramatiq waits for its threads before, and counts what it waits once for each."""
        for consumer in self._worker.consumers.values():
            consumer.stop()
        self._worker.stop(timeout=int(LAST_MOMENT_S * 1000))


def _not_done(claimed: Claimed) -> Finished:
    return Finished(claimed.lease, claimed.type, returned(Reason.WORKER_STOPPED), trace=claimed.trace)


def _declare_actor(broker: Broker, holding: Holding, executor: Executor, settler: Settler) -> None:
    def run(task_id: int) -> None:
        """Run the task, and then whatever else is ready: a thread is called anew only when it was idle."""
        claimed = holding.start(task_id) or holding.start_next()
        while claimed is not None:
            finished = executor.perform(claimed)
            if finished is None:
                holding.settled([claimed.lease])
            else:
                holding.paces.observe(claimed.type, finished.ran_s or 0.0)
                holding.end(claimed)
                settler.add(finished)
            claimed = holding.start_next()

    dramatiq.actor(actor_name=ACTOR, broker=broker)(run)
