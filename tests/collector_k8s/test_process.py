"""The whole collector in a thread: what it stores, and the state that it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import CollectorThread, collector_settings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event


def select(database_url: str, sql: str = "SELECT name, count FROM k8s_event WHERE is_current ORDER BY name") -> Any:
    with psycopg.connect(database_url, autocommit=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize("api", ["v1", "events.k8s.io/v1"])
def test_listed_and_watched_events_are_stored(cluster: FakeCluster, database_url: str, api: str) -> None:
    cluster.put(event("a"), event("b"), event("c"))

    with CollectorThread(
        collector_settings(database_url, kubeconfig=cluster.kubeconfig, page_size=2, api=api)
    ) as collector:
        eventually(lambda: select(database_url) == [("a", 1), ("b", 1), ("c", 1)])
        cluster.put(event("d"), event("a", count=2))
        eventually(lambda: select(database_url) == [("a", 2), ("b", 1), ("c", 1), ("d", 1)])
        eventually(collector.status.is_ready)
        assert collector.status.details() == {"kubernetes": "leader", "database": True}


def test_without_a_cluster_the_collector_is_ready_and_idle(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for variable in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(variable, raising=False)

    with CollectorThread(collector_settings(database_url)) as collector:
        eventually(lambda: collector.status.details()["kubernetes"] == "no cluster")
        assert collector.status.is_ready()
        assert "no kubeconfig" in str(collector.status.details()["reason"])
    assert select(database_url, "SELECT name FROM collector_lease") == []


def test_a_named_cluster_that_cannot_be_used_is_reported(
    cluster: FakeCluster, database_url: str, tmp_path: Path
) -> None:
    (tmp_path / "token").unlink()

    with CollectorThread(collector_settings(database_url, kubeconfig=cluster.kubeconfig)) as collector:
        eventually(lambda: collector.status.details()["kubernetes"] == "unusable credentials")
        assert not collector.status.is_ready()
        assert "token" in str(collector.status.details()["reason"])
