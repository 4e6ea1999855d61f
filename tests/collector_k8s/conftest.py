"""A fake cluster, the database, and collectors that run in a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from collector_k8s.lease import Lease
from taskcore.db.engine import sync_engine
from tests.collector_k8s.collector_thread import CollectorThread, StoredEvents, collector_settings
from tests.collector_k8s.database import acquire
from tests.collector_k8s.fakes.cluster import FakeCluster, running_cluster

StartCollector = Callable[..., CollectorThread]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    """A fake cluster with a kubeconfig and a token."""
    with running_cluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url, name="tests", pool_size=6)
    yield engine
    engine.dispose()


@pytest.fixture
def lease(engine: Engine) -> Lease:
    return acquire(engine, ttl_s=60)


@pytest.fixture
def stored(database_url: str) -> StoredEvents:
    return StoredEvents(database_url)


@pytest.fixture
def start_collector(cluster: FakeCluster, database_url: str) -> Iterator[StartCollector]:
    """Starts a collector of the cluster with the given settings of `kubernetes`."""
    collectors: list[CollectorThread] = []

    def start(**kubernetes: Any) -> CollectorThread:
        collectors.append(
            CollectorThread(collector_settings(database_url, kubeconfig=cluster.kubeconfig, **kubernetes))
        )
        return collectors[-1]

    yield start
    for collector in collectors:
        collector.stop()
