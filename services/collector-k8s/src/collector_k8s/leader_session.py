"""One term of being at work: a reader and a repeater for each scope, the writer, and whoever keeps the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import Engine

from collector_k8s.clock import elapsed_s
from collector_k8s.cluster.client import Cluster
from collector_k8s.health import State, Status
from collector_k8s.ingest.buffer import Buffer
from collector_k8s.ingest.event_filter import Intake
from collector_k8s.ingest.reflector import Reader
from collector_k8s.ingest.relister import Repeater
from collector_k8s.ingest.writer import Writer
from collector_k8s.leader_elector import Leadership
from collector_k8s.store.event_store import Fenced, FollowUp, Lease, Limits, Storage
from taskcore.db.kubernetes.events import cursors
from taskcore.live_settings import CurrentSettings

POLL_S = 0.2
#: How long threads get that wait for an answer of the cluster. They may be left behind: nobody takes what they read.
LEAVE_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class Term:
    def __init__(
        self,
        current: CurrentSettings,
        engine: Engine,
        cluster: Cluster,
        lease: Lease,
        follow_up: FollowUp,
        status: Status,
    ) -> None:
        settings = current.own.kubernetes
        self._lease = lease
        self._over = threading.Event()
        scopes = tuple(dict.fromkeys(settings.namespaces)) or ("",)
        positions = _positions(engine, settings.cluster)
        status.become(State.LEADER, scopes=scopes)
        buffer = Buffer(settings.buffer, self._over)
        memory = timedelta(seconds=settings.event_ttl_s)
        limits = Limits(settings.flood_per_minute, memory, lambda: current.now.retention.events_s)
        storage = Storage(engine, settings.cluster, lease, limits, follow_up)
        self._writer = Writer(settings.cluster, buffer, storage, scopes, status, self._over)
        intake = Intake(settings, cluster)
        self._readers = [
            Reader(
                scope, settings, cluster, intake, buffer.put, status, self._over, *positions.get(scope, (None, None))
            )
            for scope in scopes
        ]
        self._repeaters = [
            Repeater(scope, settings.relist_s, cluster, intake, buffer.put, self._over) for scope in scopes
        ]

    def run(self, leadership: Leadership, stop: threading.Event) -> None:
        """Until `stop` is set, or another copy has followed."""
        work = [self._writer.run, lambda: leadership.keep(self._lease, self._over)]
        work += [reader.run for reader in self._readers] + [repeater.run for repeater in self._repeaters]
        threads = [_started(partial(self._do, one)) for one in work]
        while not stop.wait(POLL_S) and not self._over.is_set():
            continue
        self._over.set()
        for reader in self._readers:
            reader.interrupt()
        deadline = time.monotonic() + LEAVE_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _do(self, work: Callable[[], None]) -> None:
        """None of them can do without the others: the end of one is the end of the term."""
        try:
            work()
        except Fenced:
            log.error("lease.lost", lease=self._lease.name, epoch=self._lease.epoch)
        except Exception:  # the next term begins anew
            log.exception("collector.failed")
        finally:
            self._over.set()


def _positions(engine: Engine, cluster: str) -> dict[str, tuple[str, float]]:
    """How far each scope was read, and when it was heard last, on the clock `elapsed_s`."""
    with engine.connect() as connection:
        rows = connection.execute(cursors(), {"of_cluster": cluster}).all()
    return {row.scope: (row.resource_version, elapsed_s() - float(row.silent_s)) for row in rows}


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="collector-k8s", daemon=True)
    thread.start()
    return thread
