from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector_k8s.collector_thread import Collected, Collecting
from tests.collector_k8s.fakes.cluster import FakeCluster, running_cluster

Collect = Callable[..., Collecting]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    """A fake one, with a kubeconfig and a token."""
    with running_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def collected(database_url: str) -> Collected:
    return Collected(database_url)


@pytest.fixture
def collect(cluster: FakeCluster, database_url: str) -> Iterator[Collect]:
    """Starts a collector of the cluster with these settings."""
    started: list[Collecting] = []

    def collect(**kubernetes: Any) -> Collecting:
        started.append(Collecting(database_url, kubeconfig=cluster.kubeconfig, **kubernetes))
        return started[-1]

    yield collect
    for collecting in started:
        collecting.stop()
