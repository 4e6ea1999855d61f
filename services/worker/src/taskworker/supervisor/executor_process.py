"""One executor process: it claims, runs plugins and settles, does what its supervisor says over a pipe, and reports.

It ends when told to, and at once when the pipe breaks: without its supervisor nobody keeps its lease.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.db.notify import SyncNotifier
from taskcore.execution.completer import BatchCompleter
from taskcore.execution.executor import Executor
from taskcore.execution.report_writer import ReportWriter
from taskcore.execution.running_attempts import RunningAttempts
from taskcore.execution.services import DatabaseServices
from taskcore.execution.slots import SlotPool
from taskcore.messaging.brokers import RabbitBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.multiprocess_metrics import preallocate_files
from taskcore.observability.redaction import Redactor
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import load_plugins
from taskcore.plugins.cancellation import InterruptCause
from taskcore.settings import Settings
from taskworker.supervisor.attempt_table import AttemptTable

REPORT_INTERVAL_S = 1.0
#: Not at once: a worker that has just started has a backlog to work on.
PRESTART_DELAY_S = 20.0


@dataclass(frozen=True, slots=True)
class ConsumeQueues:
    """Consume from these queues too."""

    queues: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish within `grace_s`; a second one hastens it."""

    grace_s: float


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop this attempt, if it is here."""

    task_id: int
    attempt: int
    cause: InterruptCause


@dataclass(frozen=True, slots=True)
class RequestPause:
    """Tell this attempt that it is to pause."""

    task_id: int
    attempt: int


@dataclass(frozen=True, slots=True)
class SetFence:
    """The lease is about to end (or good again): run nothing (go on)."""

    is_up: bool


@dataclass(frozen=True, slots=True)
class SetLogLevel:
    """Log from this level on."""

    level: str


Command = SetLogLevel | ConsumeQueues | Stop | Interrupt | RequestPause | SetFence


@dataclass(frozen=True, slots=True)
class Report:
    """What the process holds, claimed and not settled, as of a moment of the machine's monotonic clock.

    `running`: how many attempts run, in its threads and in processes of their own.
    """

    as_of: float
    attempts: frozenset[tuple[int, int]]
    running: int


def main(settings: Settings, worker_id: int, incarnation: int, pipe: Connection, attempt_table: AttemptTable) -> None:
    """The process's composition root."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal's Ctrl-C is the supervisor's to handle
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    configure_logging(settings.log)
    preallocate_files()
    tracing = Tracing.start(settings, "taskcore-worker").set_global()
    engine = sync_engine(
        settings.database_url.get_secret_value(),
        name=f"taskworker {worker_id}",
        pool_size=5,
        options=KEY_LOOKUP_OPTIONS,
        statement_deadline_s=settings.worker.lease_s / 2,
    )
    scribe, running = ReportWriter(engine), RunningAttempts(attempt_table.writer())
    executor = Executor(
        engine,
        load_plugins(),
        settings,
        worker_id=worker_id,
        incarnation=incarnation,
        running=running,
        make_services=partial(DatabaseServices, engine, scribe, Redactor(settings.log.redacted_fields)),
        flush_reports=scribe.flush,
        tracing=tracing,
    )
    holding = SlotPool(threads=settings.worker.threads, prefetch_short=settings.worker.prefetch_short)
    broker = RabbitBroker(settings, prefetch=holding.threads + holding.prefetch_short)
    service = ConsumerService(broker, holding, executor, BatchCompleter(executor, holding, SyncNotifier(engine)))
    scribe.start()
    service.start()
    _call_later(PRESTART_DELAY_S, executor.prestart_forkserver)
    threading.Thread(target=_send_reports, args=(holding, running, pipe), name="report", daemon=True).start()
    _run_commands(service, pipe)
    tracing.stop()
    os._exit(0)  # threads that would not end must not keep the process


def _call_later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


def _run_commands(service: ConsumerService, pipe: Connection) -> None:
    stopping: threading.Thread | None = None
    while stopping is None or stopping.is_alive():
        try:
            if not pipe.poll(0.1 if stopping else None):
                continue
            order: Command = pipe.recv()
        except (EOFError, OSError):
            os._exit(1)
        match order:
            case SetLogLevel(level=level):
                set_log_level(level)
            case ConsumeQueues(queues=queues):
                service.consume(queues)
            case Interrupt(task_id=task_id, attempt=attempt, cause=cause):
                service.interrupt(task_id, attempt, cause)
            case RequestPause(task_id=task_id, attempt=attempt):
                service.request_pause(task_id, attempt)
            case SetFence(is_up=True):
                service.fence()
            case SetFence(is_up=False):
                service.unfence()
            case Stop(grace_s=grace_s):
                if stopping is not None:
                    os._exit(1)
                stopping = threading.Thread(target=service.stop, args=(grace_s,), daemon=True)
                stopping.start()


def _send_reports(holding: SlotPool, running: RunningAttempts, pipe: Connection) -> None:
    """For ever: what is not settled yet is held, and what is settled is not."""
    while True:
        as_of = time.monotonic()
        attempts = frozenset((one.lease.task_id, one.lease.attempt) for one in holding.snapshot())
        try:
            pipe.send(Report(as_of, attempts, len(running.attempts())))
        except OSError:
            return  # whoever obeys sees the broken pipe too
        time.sleep(REPORT_INTERVAL_S)
