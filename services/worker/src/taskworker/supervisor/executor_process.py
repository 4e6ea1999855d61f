"""An executor process: it claims, runs and settles tasks, and exchanges commands and reports with its supervisor.

It exits when it is asked to, and at once when the pipe breaks: without the supervisor its lease is not renewed. It
leads a process group, which ends with it: the processes that plugins in threads start.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from multiprocessing.connection import Connection

from taskcore.db.engine import KEY_LOOKUP_OPTIONS, sync_engine
from taskcore.execution.child_signals import ignore_stop_signals
from taskcore.leasing.lost_claims import ProcessReport
from taskcore.messaging.brokers import RabbitBroker
from taskcore.messaging.consumer_service import ConsumerService
from taskcore.observability.logging import configure_logging, set_log_level
from taskcore.observability.multiprocess_metrics import preallocate_files
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import load_plugins
from taskcore.settings import Settings
from taskworker.supervisor import protocol
from taskworker.supervisor.attempt_table import AttemptTable

REPORT_INTERVAL_S = 1.0
#: The fork server starts this late because a worker that has just started has a backlog to work on.
PRESTART_DELAY_S = 20.0


def main(settings: Settings, worker_id: int, incarnation: int, pipe: Connection, attempt_table: AttemptTable) -> None:
    """Run the process: its composition root."""
    os.setpgid(0, 0)  # the supervisor kills the group, and with it what the plugins' threads have started
    ignore_stop_signals()  # the supervisor handles them
    configure_logging(settings.log)
    preallocate_files()
    tracing = Tracing.start(settings, "taskcore-worker").set_global()
    engine = sync_engine(
        settings.database_url.get_secret_value(),
        name=f"taskworker {worker_id}",
        pool_size=5,
        options=KEY_LOOKUP_OPTIONS,
        statement_deadline_s=settings.worker.lease_s / 2,
        pooler=settings.database_pooler,
    )
    service = ConsumerService(
        settings,
        engine,
        RabbitBroker(settings),
        load_plugins(),
        worker_id=worker_id,
        incarnation=incarnation,
        attempt_table=attempt_table.writer(),
        tracing=tracing,
    )
    service.start()
    prestart = threading.Timer(PRESTART_DELAY_S, service.executor.prestart_forkserver)
    prestart.daemon = True
    prestart.start()
    threading.Thread(target=_send_reports, args=(service, incarnation, pipe), name="reports", daemon=True).start()
    _run_commands(service, pipe)
    tracing.stop()
    os._exit(0)  # threads that do not end must not keep the process alive


def _run_commands(service: ConsumerService, pipe: Connection) -> None:
    stopping: threading.Thread | None = None
    while stopping is None or stopping.is_alive():
        try:
            if not pipe.poll(0.1 if stopping else None):
                continue
            command: protocol.Command = pipe.recv()
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)
        match command:
            case protocol.SetLogLevel(level=level):
                set_log_level(level)
            case protocol.ConsumeQueues(queues=queues):
                service.consume(queues)
            case protocol.Interrupt(key=key, cause=cause):
                service.interrupt(key, cause)
            case protocol.RequestPause(key=key):
                service.request_pause(key)
            case protocol.SetFence(is_up=is_up):
                service.set_fence(is_up)
            case protocol.Stop(grace_s=grace_s):
                if stopping is not None:
                    os.killpg(0, signal.SIGKILL)
                stopping = threading.Thread(target=service.stop, args=(grace_s,), daemon=True)
                stopping.start()


def _send_reports(service: ConsumerService, incarnation: int, pipe: Connection) -> None:
    """Report which attempts are claimed and not settled, until the pipe breaks."""
    running = service.executor.running
    while True:
        report = ProcessReport(incarnation, time.monotonic(), service.held(), len(running.attempts()))
        try:
            pipe.send(report)
        except OSError:
            return  # the main thread sees the broken pipe, too
        time.sleep(REPORT_INTERVAL_S)
