"""Fixtures for the tests of the Kubernetes collector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents
from tests.collector_k8s.fakes.cluster import FakeCluster, running_cluster

StartCollector = Callable[..., CollectorThread]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    """A fake one, with a kubeconfig and a token."""
    with running_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def collected(database_url: str) -> StoredEvents:
    return StoredEvents(database_url)


@pytest.fixture
def collect(cluster: FakeCluster, database_url: str) -> Iterator[StartCollector]:
    """Starts a collector of the cluster with these settings."""
    started: list[CollectorThread] = []

    def collect(**kubernetes: Any) -> CollectorThread:
        started.append(CollectorThread(database_url, kubeconfig=cluster.kubeconfig, **kubernetes))
        return started[-1]

    yield collect
    for collecting in started:
        collecting.stop()
