"""The collector as one function: it waits for a cluster, then for its turn, and then is at work until it is stopped."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Engine

from collector_k8s.cluster.client import Cluster
from collector_k8s.cluster.kubeconfig import NoCluster, Unusable, check
from collector_k8s.health import State, Status
from collector_k8s.leader_elector import Leadership
from collector_k8s.leader_session import Term
from collector_k8s.store.alert_hook import Alerting, check_rules
from taskcore.db.engine import BY_KEY, is_database_away, sync_engine
from taskcore.db.overrides import list_overrides
from taskcore.live_settings import CurrentSettings, overrides_of
from taskcore.settings import Settings

CLUSTER_EVERY_S = 30.0
RETRY_S = 1.0
#: A database that takes longer to answer is away: it may hang while its kernel goes on answering for it.
ANSWER_S = 10.0
#: A copy that stands still in the middle of a transaction must not keep the others from following.
OPTIONS = f"{BY_KEY} -c idle_in_transaction_session_timeout=5s"

log = structlog.stdlib.get_logger(__name__)


def new_status(settings: Settings) -> Status:
    return Status(settings.kubernetes.cluster, deaf_after_s=2 * settings.kubernetes.bookmark_s)


def run(
    settings: Settings,
    stop: threading.Event,
    status: Status | None = None,
    on_change: Callable[[Settings], None] = lambda settings: None,
) -> None:
    """Until `stop` is set. A database or a cluster that is away is waited for.

    `on_change` gets the settings whenever live ones were changed.

    Raises:
        InvalidSettings: a kubeconfig that is not there or lacks its context, a rule whose task cannot be.
    """
    check(settings.kubernetes)
    status = status or new_status(settings)
    url = settings.database_url.get_secret_value()
    engine = sync_engine(url, name="collector-k8s", pool_size=4, options=OPTIONS, answer_within_s=ANSWER_S)
    try:
        check_rules(settings, engine)
        current = CurrentSettings(settings)
        current.on_change(lambda: on_change(current.now))
        while not stop.is_set():
            try:
                _collect(current, engine, status, stop)
            except Exception as exc:  # a collector that gives up helps nobody: say it, wait, go on
                if not is_database_away(exc):
                    log.exception("collector.failed")
                stop.wait(RETRY_S)
    finally:
        engine.dispose()


def _collect(current: CurrentSettings, engine: Engine, status: Status, stop: threading.Event) -> None:
    """To the end of one term."""
    settings = current.own.kubernetes
    cluster = _find(current, status, stop)
    if cluster is None:
        return
    status.become(State.STANDBY)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    leadership = Leadership(
        engine, f"k8s:{settings.cluster}", holder, status, on_beat=lambda: _follow_settings(current, engine)
    )
    lease = leadership.take(stop)
    if lease is None:
        return
    try:
        _follow_settings(current, engine)  # before the first event: which alerts it raises is one of them
        Term(current, engine, cluster, lease, Alerting(current, engine), status).run(leadership, stop)
    finally:
        status.become(State.STANDBY)
        leadership.release(lease)
        cluster.close()


def _find(current: CurrentSettings, status: Status, stop: threading.Event) -> Cluster | None:
    """Wait until there is a cluster. None: `stop` was set first."""
    said = ""
    while not stop.is_set():
        try:
            return Cluster(current.own.kubernetes)
        except (NoCluster, Unusable) as exc:
            if str(exc) != said:
                log.warning("cluster.none", why=str(exc))
            said = str(exc)
            status.become(State.NO_CLUSTER, why=said)
        stop.wait(CLUSTER_EVERY_S)
    return None


def _follow_settings(current: CurrentSettings, engine: Engine) -> None:
    try:
        with engine.connect() as connection:
            current.override(overrides_of(connection.execute(list_overrides()).all()))
    except Exception as exc:  # the next look may succeed
        if not is_database_away(exc):
            log.exception("settings.not_read")
