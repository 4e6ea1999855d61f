"""The whole collector in a thread: what it stores, and the state that it reports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from collector_k8s.health import CollectorStatus
from collector_k8s.process import new_status, run
from harness.waiting import eventually
from taskcore.settings import KubernetesSettings, Settings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event


def settings(database_url: str, **kubernetes: Any) -> Settings:
    return Settings(
        database_url=SecretStr(database_url), kubernetes=KubernetesSettings(bookmark_interval_s=1, **kubernetes)
    )


@contextmanager
def running(settings: Settings) -> Iterator[CollectorStatus]:
    stop, status = threading.Event(), new_status(settings)
    thread = threading.Thread(target=run, args=(settings, stop, status))
    thread.start()
    try:
        yield status
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def select(database_url: str, sql: str = "SELECT name, count FROM k8s_event WHERE is_current ORDER BY name") -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("api", ["v1", "events.k8s.io/v1"])
def test_listed_and_watched_events_are_stored(cluster: FakeCluster, database_url: str, api: str) -> None:
    cluster.put(event("a"), event("b"), event("c"))

    with running(settings(database_url, kubeconfig=cluster.kubeconfig, page_size=2, api=api)) as status:
        eventually(lambda: select(database_url) == [("a", 1), ("b", 1), ("c", 1)])
        cluster.put(event("d"), event("a", count=2))
        eventually(lambda: select(database_url) == [("a", 2), ("b", 1), ("c", 1), ("d", 1)])
        eventually(status.is_ready)
        assert status.details() == {"kubernetes": "leader", "database": True}


def test_without_a_cluster_the_collector_is_ready_and_idle(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)

    with running(settings(database_url)) as status:
        eventually(lambda: status.details()["kubernetes"] == "no cluster")
        assert status.is_ready()
        assert "no kubeconfig" in str(status.details()["reason"])
    assert select(database_url, "SELECT name FROM collector_lease") == []
