"""Collectors as real processes: several copies, killed and frozen leaders, a burst of events, and no cluster."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest

from harness.processes import Service, Services
from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import Event, event
from tests.collector_k8s.fakes.watch_stream import WatchStream

BURST = 5_000
LONG_MESSAGE = "it says a lot " * 600  # 8 kB, so that a burst kept in memory would show
MB = 1024


class Replicas:
    """Starts collector processes for one cluster."""

    def __init__(self, services: Services, database_url: str, cluster: FakeCluster) -> None:
        self._services = services
        self._env = {
            "TASKCORE_DATABASE_URL": database_url,
            "TASKCORE_KUBERNETES__KUBECONFIG": str(cluster.kubeconfig),
            "TASKCORE_KUBERNETES__BOOKMARK_INTERVAL_S": "1",
        }

    def start(self, *, ready: bool = True, **kubernetes: object) -> Service:
        env = {f"TASKCORE_KUBERNETES__{name.upper()}": str(value) for name, value in kubernetes.items()}
        return self._services.start("collector-k8s", env=self._env | env, ready=ready)


@pytest.fixture
def replicas(services: Services, database_url: str, cluster: FakeCluster) -> Replicas:
    return Replicas(services, database_url, cluster)


@contextmanager
def continuous_events(cluster: FakeCluster) -> Iterator[list[Event]]:
    """Create events in the background, and yield the list of them, which grows."""
    events: list[Event] = []
    stopped = threading.Event()

    def create() -> None:
        while not stopped.wait(0.005):
            events.extend(cluster.put(event(f"e{len(events) % 50}", count=len(events) + 1)))

    thread = threading.Thread(target=create)
    thread.start()
    try:
        yield events
    finally:
        stopped.set()
        thread.join()


def test_a_killed_collector_neither_misses_nor_duplicates_events(
    replicas: Replicas, cluster: FakeCluster, stored: StoredEvents
) -> None:
    collector = replicas.start()
    eventually(lambda: cluster.open_streams)

    with continuous_events(cluster) as events:
        eventually(lambda: len(stored.versions()) > 20)
        collector.kill()
        before = len(stored.versions())
        collector = replicas.start()
        eventually(lambda: len(stored.versions()) > before)

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert len(cluster.requests_of("list")) == 1
    assert not stored.gaps()
    assert collector.terminate() == 0


def test_a_standby_takes_over_from_a_killed_and_from_a_frozen_leader(
    replicas: Replicas, cluster: FakeCluster, stored: StoredEvents
) -> None:
    three = [replicas.start(ready=False) for _ in range(3)]
    for copy in three:
        copy.wait_until_ready()
    (leader,) = eventually(lambda: sole_leader(three))
    eventually(lambda: cluster.open_streams)

    with continuous_events(cluster) as events:
        eventually(lambda: stored.versions())
        leader.kill()
        others = [copy for copy in three if copy is not leader]
        (frozen,) = eventually(lambda: sole_leader(others))
        before = len(stored.versions())
        eventually(lambda: len(stored.versions()) > before)
        frozen.freeze()
        (last,) = (copy for copy in others if copy is not frozen)
        eventually(lambda: is_leader(last))
        frozen.thaw()
        eventually(lambda: not is_leader(frozen))

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert sole_leader([frozen, last]) == [last]
    assert all(copy.is_ready for copy in (frozen, last))
    assert stored.sql("SELECT epoch FROM collector_lease") == [{"epoch": 3}]
    assert not stored.gaps()


def test_a_burst_waits_in_the_cluster_while_the_database_is_blocked(
    replicas: Replicas, cluster: FakeCluster, stored: StoredEvents, database_url: str
) -> None:
    collector = replicas.start(buffer=200)
    cluster.put(*(event(f"first-{number}", message=LONG_MESSAGE) for number in range(500)))
    eventually(lambda: len(stored.names()) == 500)
    (stream,) = cluster.open_streams
    before = memory_kb(collector)

    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE k8s_event IN ACCESS EXCLUSIVE MODE")
        burst = cluster.put(*(event(f"e{number}", message=LONG_MESSAGE) for number in range(BURST)))
        eventually(lambda: is_stalled(stream))
        assert stream.sent < BURST

    eventually(lambda: stored.has_all(burst), 120)
    assert len(stored.versions()) == 500 + BURST
    assert memory_kb(collector, "VmHWM") - before < 25 * MB
    assert len(cluster.requests_of("list")) == 1


def test_without_a_cluster_the_process_is_ready(services: Services, database_url: str, tmp_path: Path) -> None:
    env = {"TASKCORE_DATABASE_URL": database_url, "HOME": str(tmp_path), "KUBECONFIG": ""}

    collector = services.start("collector-k8s", env=env)

    assert "no cluster" in httpx.get(f"{collector.url}/readyz", trust_env=False).text
    assert collector.terminate() == 0


def is_leader(copy: Service) -> bool:
    metrics = httpx.get(f"{copy.url}/metrics", trust_env=False, timeout=10).text
    return re.search(r"^taskcore_k8s_is_leader\{.*} 1\.0$", metrics, re.MULTILINE) is not None


def sole_leader(copies: list[Service]) -> list[Service]:
    """Return the leader if there is exactly one."""
    leaders = [copy for copy in copies if is_leader(copy)]
    return leaders if len(leaders) == 1 else []


def is_stalled(stream: WatchStream) -> bool:
    """Return whether the collector reads nothing more of the stream."""
    before = stream.sent
    return before > 0 and not threading.Event().wait(1) and stream.sent == before


def memory_kb(service: Service, kind: str = "VmRSS") -> int:
    status = Path(f"/proc/{service.pid}/status").read_text()
    (value,) = re.findall(rf"{kind}:\s+(\d+) kB", status)
    return int(value)
