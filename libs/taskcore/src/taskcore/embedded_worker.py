"""A worker inside this process: threads instead of executor processes, with the same lease, claims and settlements.

It is for plugins that are trusted not to hold the GIL, because a thread cannot be killed: an attempt that does not stop
is settled all the same, and its thread goes on unobserved.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Sequence
from contextlib import suppress

import structlog
from sqlalchemy import Engine

from taskcore.errors import DatabaseUnavailable
from taskcore.execution.child_signals import STOP_SIGNALS, reset_signals_in_forks
from taskcore.leasing.lease_manager import SOFT_FENCE_SHARE, Directives, LeaseManager
from taskcore.leasing.liveness import LivenessSignalFactory, LivenessSignals
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.messaging.brokers import ClaimingBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import Plugins
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings

log = structlog.stdlib.get_logger(__name__)

INCARNATION = 1
REGISTRATION_TIMEOUT_S = 60.0

POLL_INTERVAL_S = 0.5


class EmbeddedWorker:
    """A worker that is registered when `start` returns, so that its task types are known when the API opens."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        broker: ClaimingBroker,
        plugins: Plugins,
        make_signals: LivenessSignalFactory,
        tracing: Tracing = NO_TRACING,
        observers: Sequence[AttemptObserver] = (),
    ) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run_directives, name="directives", daemon=True)
        self._service = ConsumerService(
            settings,
            engine,
            broker,
            plugins,
            worker_id=0,
            incarnation=INCARNATION,
            tracing=tracing,
            observers=observers,
        )
        self._executor = self._service.executor
        self._lease = LeaseManager(settings, engine, plugins, self._reports, slots=settings.worker.threads)
        self._liveness = LivenessSignals(make_signals, self._lease.wake, settings.worker.heartbeat_s)
        self._is_fenced = False

    def start(self) -> None:
        """Register and start. Raise `DatabaseUnavailable` when that is not possible within a minute."""
        self._lease.start()
        try:
            self._apply(self._lease.directives.get(timeout=REGISTRATION_TIMEOUT_S))
        except queue.Empty:
            raise DatabaseUnavailable from None
        self._service.start()
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the worker is registered and its last heartbeats succeeded."""
        return self._lease.is_fresh

    @property
    def held_count(self) -> int:
        """How many tasks are claimed and not settled yet."""
        return len(self._service.held())

    def stop(self, grace_s: float) -> None:
        log.info("worker.draining", worker_id=self._executor.worker_id, grace_s=grace_s)
        self._service.stop(grace_s)
        self._shut_down()

    def force_stop(self) -> None:
        """Release all tasks now. Their threads end with the process."""
        self._executor.close()
        slots = self._service.slots
        self._service.release(slots.close() + slots.snapshot())
        self._shut_down()

    def _shut_down(self) -> None:
        self._stopping.set()
        self._service.report_writer.stop()
        self._thread.join()
        self._liveness.stop()
        self._lease.deregister(self._settings.worker.lease_s)

    def _reports(self) -> list[ProcessReport]:
        return [ProcessReport(INCARNATION, time.monotonic(), self._service.held())]

    def _run_directives(self) -> None:
        while not self._stopping.is_set():
            try:
                self._check_fence()
                self._service.abandon_stuck(self._settings.worker.kill_after_s)
                self._apply(self._lease.directives.get(timeout=POLL_INTERVAL_S))
            except queue.Empty:
                continue
            except Exception:  # such as no thread left: without this loop, nothing would fence the attempts any more
                log.exception("worker.directives_failed")
                self._stopping.wait(POLL_INTERVAL_S)

    def _check_fence(self) -> None:
        """Interrupt this worker's attempts before another worker may run their tasks."""
        is_up = self._liveness.all_lost() or self._lease.is_expiring(SOFT_FENCE_SHARE)
        if is_up and not self._is_fenced:
            log.error("worker.fenced", worker_id=self._executor.worker_id)
            self._lease.record_loss()
        if is_up != self._is_fenced:
            self._is_fenced = is_up
            self._service.set_fence(is_up)

    def _apply(self, directives: Directives) -> None:
        """Do what the database asks. After a suspend longer than the lease, the worker has a new id."""
        if directives.worker_id != self._executor.worker_id:
            self._liveness.switch_to(directives.worker_id)
            self._executor.worker_id = directives.worker_id
        for held in directives.cancel:
            self._service.interrupt(held.key, InterruptCause.CANCEL)
        for held in directives.pause:
            self._service.request_pause(held.key)
        for _, key in directives.drop:
            self._service.interrupt(key, InterruptCause.FENCE)
        self._service.consume(directives.queues)


def stop_signals() -> asyncio.Queue[None]:
    """Return a queue that gets an item for each SIGTERM and SIGINT from now on, but not for those of forks."""
    reset_signals_in_forks()
    signals: asyncio.Queue[None] = asyncio.Queue()
    for number in STOP_SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, None)
    return signals


async def drain(worker: EmbeddedWorker, grace_s: float, signals: asyncio.Queue[None]) -> None:
    """Stop the worker within `grace_s`. A further signal in `signals` releases its tasks at once."""
    loop = asyncio.get_running_loop()
    drained: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        try:
            worker.stop(grace_s)
        except Exception:  # the process ends in any case, and the rescuer recovers what it held
            log.exception("worker.drain_failed")
        finally:
            with suppress(RuntimeError):  # the loop is closed, so nothing waits for this
                loop.call_soon_threadsafe(drained.set_result, None)

    threading.Thread(target=stop, name="drain", daemon=True).start()
    force = asyncio.create_task(signals.get())
    await asyncio.wait([drained, force], return_when=asyncio.FIRST_COMPLETED)
    force.cancel()
    if not drained.done():
        await asyncio.to_thread(worker.force_stop)
