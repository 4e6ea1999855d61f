"""The work of a leader while it holds the lease: threads that read, relist, write, and renew the lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog
from sqlalchemy import Engine

from collector_k8s.clock import monotonic_s
from collector_k8s.cluster.client import ClusterClient
from collector_k8s.health import CollectorState, CollectorStatus
from collector_k8s.ingest.buffer import EventBuffer
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.ingest.reflector import Reflector, Relister
from collector_k8s.ingest.writer import EventWriter
from collector_k8s.leader_elector import LeaderElector
from collector_k8s.lease import Lease, LeaseLost
from collector_k8s.store.event_store import EventHook, EventStore, StoreLimits
from taskcore.db.kubernetes.events import list_cursors
from taskcore.live_settings import CurrentSettings

POLL_S = 0.2
#: How long to wait for threads that wait for the cluster. They may be left running: nothing takes what they read.
JOIN_TIMEOUT_S = 2.0

log = structlog.stdlib.get_logger(__name__)


class LeaderSession:
    """A reflector and a relister for each scope, and one writer."""

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
        self._stopped = stopped = threading.Event()
        scopes = tuple(dict.fromkeys(settings.namespaces)) or ("",)
        positions = _positions(engine, settings.cluster)
        status.enter(CollectorState.LEADER, scopes=scopes)
        put = (buffer := EventBuffer(settings.buffer, stopped)).put
        memory = timedelta(seconds=settings.event_ttl_s)
        limits = StoreLimits(settings.max_events_per_minute, memory, lambda: current.now.retention.events_s)
        store = EventStore(engine, settings.cluster, lease, limits, hook)
        self._writer = EventWriter(settings.cluster, buffer, store, scopes, status, stopped)
        events = EventFilter(settings, cluster)
        self._reflectors = [
            Reflector(scope, settings, cluster, events, put, status, stopped, *positions.get(scope, (None, None)))
            for scope in scopes
        ]
        interval_s = settings.relist_interval_s
        self._relisters = [
            Relister(scope, interval_s, cluster, events, put, stopped) for scope in scopes if interval_s is not None
        ]

    def run(self, elector: LeaderElector, stop: threading.Event) -> None:
        """Work until `stop` is set or the lease is lost."""
        loops = [self._writer.run, lambda: elector.renew_until_lost(self._lease, self._stopped)]
        loops += [reflector.run for reflector in self._reflectors] + [relister.run for relister in self._relisters]
        threads = [
            threading.Thread(target=self._run_loop, args=(loop,), name="collector-k8s", daemon=True) for loop in loops
        ]
        for thread in threads:
            thread.start()
        while not stop.wait(POLL_S) and not self._stopped.is_set():
            continue
        self._stopped.set()
        for reflector in self._reflectors:
            reflector.interrupt()
        deadline = time.monotonic() + JOIN_TIMEOUT_S
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run_loop(self, loop: Callable[[], None]) -> None:
        """Run one thread's loop. When any loop ends, the session ends, since none is of use without the others."""
        try:
            loop()
        except LeaseLost:
            log.error("lease.lost", lease=self._lease.name, epoch=self._lease.epoch)
        except Exception:  # the next session starts afresh
            log.exception("collector.failed")
        finally:
            self._stopped.set()


def _positions(engine: Engine, cluster: str) -> dict[str, tuple[str, float]]:
    """Return by scope the stored position and when it was last seen, in `monotonic_s`."""
    with engine.connect() as connection:
        rows = connection.execute(list_cursors(), {"of_cluster": cluster}).all()
    return {row.scope: (row.resource_version, monotonic_s() - float(row.silent_s)) for row in rows}
