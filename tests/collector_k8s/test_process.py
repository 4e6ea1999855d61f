"""The whole collector over a cluster, in this process: what it stores, and what it says of itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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

Collect = Callable[..., Any]


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


def stored(database_url: str, sql: str = "SELECT name, count FROM k8s_event WHERE is_current ORDER BY name") -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("api", ["v1", "events.k8s.io/v1"])
def test_what_was_there_and_what_comes_is_stored(cluster: FakeCluster, database_url: str, api: str) -> None:
    cluster.put(event("a"), event("b"), event("c"))

    with running(settings(database_url, kubeconfig=cluster.kubeconfig, page_size=2, api=api)) as status:
        eventually(lambda: stored(database_url) == [("a", 1), ("b", 1), ("c", 1)])
        cluster.put(event("d"), event("a", count=2))
        eventually(lambda: stored(database_url) == [("a", 2), ("b", 1), ("c", 1), ("d", 1)])
        eventually(status.is_ready)
        assert status.details() == {"kubernetes": "leader", "database": True}


def test_where_there_is_no_cluster_it_is_said_and_nothing_else_happens(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)

    with running(settings(database_url)) as status:
        eventually(lambda: status.details()["kubernetes"] == "no cluster")
        assert status.is_ready()
        assert "no kubeconfig" in str(status.details()["reason"])
    assert stored(database_url, "SELECT name FROM collector_lease") == []
