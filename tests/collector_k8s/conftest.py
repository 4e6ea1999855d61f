from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector_k8s.fake_cluster import FakeCluster, running_cluster


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[FakeCluster]:
    """A fake one, with a kubeconfig and a token."""
    with running_cluster(tmp_path) as cluster:
        yield cluster
