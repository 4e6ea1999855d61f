"""The standalone collects the events of a configured cluster, and only of that."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from harness.waiting import eventually
from taskcore.errors import InvalidSettings
from taskcore.settings import KubernetesSettings, Settings
from taskstandalone.collectors import collect_kubernetes_events, validate_collectors
from tests.collector_k8s.fakes.cluster import running_cluster
from tests.collector_k8s.fakes.event_json import event


async def test_events_of_the_configured_cluster_are_collected(database_url: str, tmp_path: Path) -> None:
    with running_cluster(tmp_path) as cluster:
        cluster.put(event("a"))
        settings = Settings(
            database_url=SecretStr(database_url), kubernetes=KubernetesSettings(kubeconfig=cluster.kubeconfig)
        )
        collecting = asyncio.create_task(collect_kubernetes_events(settings))

        await asyncio.to_thread(eventually, lambda: stored_names(database_url) == ["a"])

        collecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await collecting
    assert held_leases(database_url) == 0


async def test_without_a_cluster_nothing_is_collected(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)

    await collect_kubernetes_events(Settings(database_url=SecretStr(database_url)))

    assert held_leases(database_url) == 0


def test_a_missing_kubeconfig_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="TASKCORE_KUBERNETES__KUBECONFIG"):
        validate_collectors(Settings(kubernetes=KubernetesSettings(kubeconfig=tmp_path / "missing")))


def stored_names(database_url: str) -> list[str]:
    with psycopg.connect(database_url) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM k8s_event")]


def held_leases(database_url: str) -> int:
    """Return the number of leases that are held."""
    with psycopg.connect(database_url) as connection:
        return len(connection.execute("SELECT FROM collector_lease WHERE expires_at > now()").fetchall())
