"""One term of being at work: a reader and a repeater for each scope, the writer, and whoever keeps the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import Engine

from collector_k8s.clock import monotonic_s
from collector_k8s.cluster.client import ClusterClient
from collector_k8s.health import CollectorState, CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.ingest.reflector import Reflector
from collector_k8s.ingest.relister import Relister
from collector_k8s.ingest.writer import EventWriter
from collector_k8s.leader_elector import LeaderElector
from collector_k8s.store.event_store import EventHook, EventStore, Lease, LeaseLost, StoreLimits
from taskcore.db.kubernetes.events import list_cursors
from taskcore.live_settings import CurrentSettings

POLL_S = 0.2
#: How long threads get that wait for an answer of the cluster. They may be left behind: nobody takes what they read.
JOIN_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class LeaderSession:
    def __init__(
        self,
        current: CurrentSettings,
        engine: Engine,
        cluster: ClusterClient,
        lease: Lease,
        hook: EventHook,
        status: CollectorStatus,
    ) -> None:
        settings = current.base.kubernetes
        self._lease = lease
        self._stopped = threading.Event()
        scopes = tuple(dict.fromkeys(settings.namespaces)) or ("",)
        positions = _positions(engine, settings.cluster)
        status.enter(CollectorState.LEADER, scopes=scopes)
        buffer = EventBuffer(settings.buffer, self._stopped)
        memory = timedelta(seconds=settings.event_ttl_s)
        limits = StoreLimits(settings.max_events_per_minute, memory, lambda: current.now.retention.events_s)
        storage = EventStore(engine, settings.cluster, lease, limits, hook)
        self._writer = EventWriter(settings.cluster, buffer, storage, scopes, status, self._stopped)
        intake = EventFilter(settings, cluster)
        self._reflectors = [
            Reflector(
                scope, settings, cluster, intake, buffer.put, status, self._stopped, *positions.get(scope, (None, None))
            )
            for scope in scopes
        ]
        self._relisters = [
            Relister(scope, settings.relist_interval_s, cluster, intake, buffer.put, self._stopped) for scope in scopes
        ]

    def run(self, leadership: LeaderElector, stop: threading.Event) -> None:
        """Until `stop` is set, or another copy has followed."""
        work = [self._writer.run, lambda: leadership.renew_until_lost(self._lease, self._stopped)]
        work += [reader.run for reader in self._reflectors] + [repeater.run for repeater in self._relisters]
        threads = [_started(partial(self._do, one)) for one in work]
        while not stop.wait(POLL_S) and not self._stopped.is_set():
            continue
        self._stopped.set()
        for reader in self._reflectors:
            reader.interrupt()
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _do(self, work: Callable[[], None]) -> None:
        """None of them can do without the others: the end of one is the end of the term."""
        try:
            work()
        except LeaseLost:
            log.error("lease.lost", lease=self._lease.name, epoch=self._lease.epoch)
        except Exception:  # the next term begins anew
            log.exception("collector.failed")
        finally:
            self._stopped.set()


def _positions(engine: Engine, cluster: str) -> dict[str, tuple[str, float]]:
    """How far each scope was read, and when it was heard last, on the clock `elapsed_s`."""
    with engine.connect() as connection:
        rows = connection.execute(list_cursors(), {"of_cluster": cluster}).all()
    return {row.scope: (row.resource_version, monotonic_s() - float(row.silent_s)) for row in rows}


def _started(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, name="collector-k8s", daemon=True)
    thread.start()
    return thread
