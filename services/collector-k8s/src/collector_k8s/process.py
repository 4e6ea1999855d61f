"""The collector as one function: it waits for a cluster, then for its turn, and then is at work until it is stopped."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.cluster.kubeconfig import NoClusterConfigured, UnusableKubeconfig, validate
from collector_k8s.health import CollectorState, CollectorStatus
from collector_k8s.leader_elector import LeaderElector
from collector_k8s.leader_session import LeaderSession
from collector_k8s.store.alert_hook import AlertHook, validate_rules
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, is_database_unavailable, sync_engine
from taskcore.db.overrides import list_overrides
from taskcore.live_settings import CurrentSettings, to_overrides
from taskcore.settings import Settings

CLUSTER_RETRY_S = 30.0
RETRY_S = 1.0
#: A database that takes longer to answer is away: it may hang while its kernel goes on answering for it.
DATABASE_TIMEOUT_S = 10.0
#: A copy that stands still in the middle of a transaction must not keep the others from following.
CONNECTION_OPTIONS = f"{KEY_LOOKUP_OPTIONS} -c idle_in_transaction_session_timeout=5s"

log = structlog.stdlib.get_logger(__name__)


def new_status(settings: Settings) -> CollectorStatus:
    return CollectorStatus(settings.kubernetes.cluster, stale_after_s=2 * settings.kubernetes.bookmark_interval_s)


def run(
    settings: Settings,
    stop: threading.Event,
    status: CollectorStatus | None = None,
    on_change: Callable[[Settings], None] = lambda _: None,
) -> None:
    """Until `stop` is set. A database or a cluster that is away is waited for.

    `on_change` gets the settings whenever live ones were changed.

    Raises:
        InvalidSettings: a kubeconfig that is not there or lacks its context, a rule whose task cannot be.
    """
    validate(settings.kubernetes)
    status = status or new_status(settings)
    url = settings.database_url.get_secret_value()
    engine = sync_engine(
        url, name="collector-k8s", pool_size=4, options=CONNECTION_OPTIONS, statement_deadline_s=DATABASE_TIMEOUT_S
    )
    try:
        validate_rules(settings, engine)
        current = CurrentSettings(settings)
        current.on_change(lambda: on_change(current.now))
        while not stop.is_set():
            try:
                _collect(current, engine, status, stop)
            except Exception as exc:  # a collector that gives up helps nobody: say it, wait, go on
                if not is_database_unavailable(exc):
                    log.exception("collector.failed")
                stop.wait(RETRY_S)
    finally:
        engine.dispose()


def _collect(current: CurrentSettings, engine: Engine, status: CollectorStatus, stop: threading.Event) -> None:
    """To the end of one term."""
    settings = current.base.kubernetes
    cluster = _find(current, status, stop)
    if cluster is None:
        return
    status.enter(CollectorState.STANDBY)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    leadership = LeaderElector(
        engine, f"k8s:{settings.cluster}", holder, status, on_heartbeat=lambda: _follow_settings(current, engine)
    )
    lease = leadership.acquire(stop)
    if lease is None:
        return
    try:
        _follow_settings(current, engine)  # before the first event: which alerts it raises is one of them
        LeaderSession(current, engine, cluster, lease, AlertHook(current, engine), status).run(leadership, stop)
    finally:
        status.enter(CollectorState.STANDBY)
        leadership.release(lease)
        cluster.close()


def _find(current: CurrentSettings, status: CollectorStatus, stop: threading.Event) -> ClusterClient | None:
    """Wait until there is a cluster. None: `stop` was set first."""
    said = ""
    while not stop.is_set():
        try:
            return ClusterClient(current.base.kubernetes)
        except (NoClusterConfigured, UnusableKubeconfig) as exc:
            if str(exc) != said:
                log.warning("cluster.not_configured", why=str(exc))
            said = str(exc)
            status.enter(CollectorState.NO_CLUSTER, reason=said)
        stop.wait(CLUSTER_RETRY_S)
    return None


def _follow_settings(current: CurrentSettings, engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            current.apply_overrides(to_overrides(connection.execute(list_overrides()).all()))
    except Exception as exc:  # the next look may succeed
        if not is_database_unavailable(exc):
            log.exception("settings.read_failed")
