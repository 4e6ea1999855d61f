"""The collector as one function: wait for a cluster, wait for the lease, then collect until stopped."""

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
from collector_k8s.store.alert_hook import AlertHook
from collector_k8s.store.alert_rules import validate_rules
from taskcore.db.engine import KEY_LOOKUP_OPTIONS, is_database_unavailable, sync_engine
from taskcore.db.live_settings import list_overrides
from taskcore.live_settings import CurrentSettings, to_overrides
from taskcore.settings import Settings

CLUSTER_RETRY_S = 30.0
RETRY_S = 1.0
#: A database that takes longer counts as unavailable: it may hang while its kernel still answers for it.
DATABASE_TIMEOUT_S = 10.0
#: A copy that is frozen in the middle of a transaction must not keep the others from taking over.
CONNECTION_OPTIONS = {**KEY_LOOKUP_OPTIONS, "idle_in_transaction_session_timeout": "5s"}

log = structlog.stdlib.get_logger(__name__)


def new_status(settings: Settings) -> CollectorStatus:
    return CollectorStatus(settings.kubernetes.cluster, stale_after_s=2 * settings.kubernetes.bookmark_interval_s)


def run(
    settings: Settings,
    stop: threading.Event,
    status: CollectorStatus | None = None,
    on_change: Callable[[Settings], None] = lambda _: None,
) -> None:
    """Collect until `stop` is set. Wait for a database or a cluster that is unavailable.

    `on_change` is called with the current settings whenever live ones have changed. Raises `InvalidSettings` when the
    kubeconfig is missing or lacks the context, or the task of an alert rule is invalid.
    """
    validate(settings.kubernetes)
    status = status or new_status(settings)
    url = settings.database_url.get_secret_value()
    engine = sync_engine(
        url,
        name="collector-k8s",
        pool_size=4,
        options=CONNECTION_OPTIONS,
        statement_deadline_s=DATABASE_TIMEOUT_S,
        pooler=settings.database_pooler,
    )
    try:
        validate_rules(settings, engine)
        current = CurrentSettings(settings)
        current.on_change(lambda: on_change(current.now))
        while not stop.is_set():
            try:
                _lead(current, engine, status, stop)
            except Exception as exc:  # log it and start again: giving up would not help
                if not is_database_unavailable(exc):
                    log.exception("collector.failed")
                stop.wait(RETRY_S)
    finally:
        engine.dispose()


def _lead(current: CurrentSettings, engine: Engine, status: CollectorStatus, stop: threading.Event) -> None:
    """Become the leader and work until the lease is lost."""
    settings = current.base.kubernetes
    cluster = _wait_for_cluster(current, status, stop)
    if cluster is None:
        return
    status.enter(CollectorState.STANDBY)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    elector = LeaderElector(
        engine, f"k8s:{settings.cluster}", holder, status, on_heartbeat=lambda: _refresh_settings(current, engine)
    )
    lease = elector.acquire(stop)
    if lease is None:
        return
    try:
        _refresh_settings(current, engine)  # the first event needs the current alert rules
        LeaderSession(current, engine, cluster, lease, AlertHook(current, engine), status).run(elector, stop)
    finally:
        status.enter(CollectorState.STANDBY)
        elector.release(lease)
        cluster.close()


def _wait_for_cluster(current: CurrentSettings, status: CollectorStatus, stop: threading.Event) -> ClusterClient | None:
    """Return a client as soon as a cluster is configured. `None` when `stop` was set first."""
    reason = ""
    while not stop.is_set():
        try:
            return ClusterClient(current.base.kubernetes)
        except (NoClusterConfigured, UnusableKubeconfig) as exc:
            is_meant = isinstance(exc, UnusableKubeconfig)
            if str(exc) != reason:
                log.warning("cluster.unusable" if is_meant else "cluster.not_configured", reason=str(exc))
            reason = str(exc)
            status.enter(CollectorState.UNUSABLE if is_meant else CollectorState.NO_CLUSTER, reason=reason)
        stop.wait(CLUSTER_RETRY_S)
    return None


def _refresh_settings(current: CurrentSettings, engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            current.apply_overrides(to_overrides(connection.execute(list_overrides()).all()))
    except Exception as exc:  # the next attempt may succeed
        if not is_database_unavailable(exc):
            log.exception("settings.read_failed")
