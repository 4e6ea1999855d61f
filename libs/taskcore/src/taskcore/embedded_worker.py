"""A worker inside this process: threads instead of executor processes, the same lease, claim, run and settle.

For plugins that can be trusted not to hold the GIL: nobody can kill a thread of it.
"""

from __future__ import annotations

import asyncio
import queue
import signal
import threading
import time
from functools import partial

import structlog
from sqlalchemy import Engine

from taskcore.db.notify import SyncNotifier
from taskcore.errors import TemporarilyUnavailable
from taskcore.execution.completer import Settler
from taskcore.execution.executor import Executor
from taskcore.execution.report_writer import Scribe
from taskcore.execution.services import WorkerServices
from taskcore.execution.slots import Holding
from taskcore.leasing.lease_manager import SOFT_FENCE, LeaseKeeper, Wishes
from taskcore.leasing.liveness import MakeWitnesses, Witnesses
from taskcore.leasing.lost_claims import Held
from taskcore.messaging.brokers import Broker
from taskcore.messaging.consumer_service import Service
from taskcore.observability.redaction import Masking
from taskcore.observability.tracing.provider import OFF, Tracing
from taskcore.plugins import Plugins
from taskcore.plugins.cancellation import Cause
from taskcore.settings import Settings

log = structlog.stdlib.get_logger(__name__)

INCARNATION = 1
REGISTERED_WITHIN_S = 60.0

POLL_S = 0.5
MISSED_BEATS = 2


class InProcessWorker:
    """Registered before `start` returns, so that every type is known when the API opens."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        broker: Broker,
        plugins: Plugins,
        make_witnesses: MakeWitnesses,
        tracing: Tracing = OFF,
    ) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._obey, name="obey", daemon=True)
        self._scribe = Scribe(engine)
        self._executor = Executor(
            engine,
            plugins,
            settings,
            worker_id=0,
            incarnation=INCARNATION,
            services=partial(WorkerServices, engine, self._scribe, Masking(settings.log.masked)),
            flush=self._scribe.flush,
            tracing=tracing,
        )
        self._holding = Holding(threads=settings.worker.threads, look_ahead=settings.worker.look_ahead)
        settler = Settler(self._executor, self._holding, SyncNotifier(engine))
        self._service = Service(broker, self._holding, self._executor, settler)
        self._lease = LeaseKeeper(settings, engine, plugins, self._held, slots=settings.worker.threads)
        self._witnesses = Witnesses(make_witnesses, self._lease.wake, settings.worker.heartbeat_s)
        self._is_fenced = False

    def start(self) -> None:
        """Raises `TemporarilyUnavailable` when the database stays away."""
        self._lease.start()
        try:
            self._follow(self._lease.wishes.get(timeout=REGISTERED_WITHIN_S))
        except queue.Empty:
            raise TemporarilyUnavailable from None
        self._scribe.start()
        self._service.start()
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Registered, and heard by the database lately."""
        silence_s = time.monotonic() - (self._lease.ends_at - self._settings.worker.lease_s)
        return self._lease.worker_id is not None and silence_s < MISSED_BEATS * self._settings.worker.heartbeat_s

    @property
    def held(self) -> int:
        """How many tasks run, or are about to."""
        return len(self._holding.held())

    def stop(self, grace_s: float) -> None:
        log.info("worker.draining", worker_id=self._executor.worker_id, grace_s=grace_s)
        self._service.stop(grace_s)
        self._retire()

    def abandon(self) -> None:
        """Give back what runs, now; its threads end with the process."""
        self._executor.close()
        self._service.give_back(self._holding.close() + self._holding.held())
        self._retire()

    def _retire(self) -> None:
        self._stopping.set()
        self._scribe.stop()
        self._thread.join()
        self._witnesses.stop()
        self._lease.retire(self._settings.worker.lease_s)

    def _held(self) -> list[Held]:
        attempts = frozenset((one.lease.task_id, one.lease.attempt) for one in self._holding.held())
        return [Held(INCARNATION, time.monotonic(), attempts)]

    def _obey(self) -> None:
        while not self._stopping.is_set():
            self._mind_fence()
            try:
                self._follow(self._lease.wishes.get(timeout=POLL_S))
            except queue.Empty:
                continue

    def _mind_fence(self) -> None:
        """Before others may run its tasks, this worker's are told to stop."""
        is_up = self._witnesses.are_gone() or self._lease.is_ending(SOFT_FENCE)
        if is_up and not self._is_fenced:
            log.error("worker.fenced", worker_id=self._executor.worker_id)
            self._lease.count_loss()
            self._service.fence()
        if self._is_fenced and not is_up:
            self._service.resume()
        self._is_fenced = is_up

    def _follow(self, wishes: Wishes) -> None:
        """A machine that slept longer than the lease finds its tasks returned: it goes on under a new id."""
        if wishes.worker_id != self._executor.worker_id:
            self._executor.worker_id = wishes.worker_id
            self._witnesses.follow(wishes.worker_id)
        for row in wishes.cancel:
            self._service.interrupt(row.id, row.attempt, Cause.CANCEL)
        for row in wishes.pause:
            self._service.request_pause(row.id, row.attempt)
        for _, (task_id, attempt) in wishes.drop:
            self._service.interrupt(task_id, attempt, Cause.FENCE)
        self._service.serve(wishes.queues)


def stop_signals() -> asyncio.Queue[None]:
    """An item for each SIGTERM or SIGINT from now on."""
    signals: asyncio.Queue[None] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, None)
    return signals


async def drain(worker: InProcessWorker, grace_s: float, signals: asyncio.Queue[None]) -> None:
    """Let what runs end within the grace; a further signal gives it back at once."""
    loop = asyncio.get_running_loop()
    drained: asyncio.Future[None] = loop.create_future()

    def stop() -> None:
        try:
            worker.stop(grace_s)
        except Exception:  # the process is to end all the same: what it held is returned when it is gone
            log.exception("worker.not_drained")
        finally:
            loop.call_soon_threadsafe(drained.set_result, None)

    threading.Thread(target=stop, name="drain", daemon=True).start()
    hurry = asyncio.create_task(signals.get())
    await asyncio.wait([drained, hurry], return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    if not drained.done():
        await asyncio.to_thread(worker.abandon)
