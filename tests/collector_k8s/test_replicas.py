"""Collectors as real processes: killed, several of them, flooded, and without a cluster."""

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
LONG = "it says a lot " * 600  # 8 kB: what is kept of a burst in memory would show
MB = 1024


class Copies:
    """Processes of the collector, on one cluster."""

    def __init__(self, services: Services, database_url: str, cluster: FakeCluster) -> None:
        self._services = services
        self.env = {
            "TASKCORE_DATABASE_URL": database_url,
            "TASKCORE_KUBERNETES__KUBECONFIG": str(cluster.kubeconfig),
            "TASKCORE_KUBERNETES__BOOKMARK_INTERVAL_S": "1",
        }

    def start(self, *, ready: bool = True, **kubernetes: object) -> Service:
        own = {f"TASKCORE_KUBERNETES__{name.upper()}": str(value) for name, value in kubernetes.items()}
        return self._services.start("collector-k8s", env=self.env | own, ready=ready)


@pytest.fixture
def copies(services: Services, database_url: str, cluster: FakeCluster) -> Copies:
    return Copies(services, database_url, cluster)


@contextmanager
def happening(cluster: FakeCluster) -> Iterator[list[Event]]:
    """Events happen one after the other meanwhile."""
    happened: list[Event] = []
    over = threading.Event()

    def happen() -> None:
        while not over.wait(0.005):
            happened.extend(cluster.put(event(f"e{len(happened) % 50}", count=len(happened) + 1)))

    thread = threading.Thread(target=happen)
    thread.start()
    try:
        yield happened
    finally:
        over.set()
        thread.join()


def test_a_collector_that_is_killed_in_mid_stream_misses_nothing_and_stores_nothing_twice(
    copies: Copies, cluster: FakeCluster, collected: StoredEvents
) -> None:
    collector = copies.start()
    eventually(lambda: cluster.open_streams)

    with happening(cluster) as happened:
        eventually(lambda: len(collected.versions()) > 20)
        collector.kill()
        seen = len(collected.versions())
        collector = copies.start()
        eventually(lambda: len(collected.versions()) > seen)

    eventually(lambda: collected.has_all(happened))
    assert collected.versions() == versions_of(happened)
    assert len(cluster.requests_of("list")) == 1
    assert not collected.gaps()
    assert collector.terminate() == 0


def test_another_copy_takes_over_from_one_that_is_killed_and_one_that_is_frozen_writes_no_more(
    copies: Copies, cluster: FakeCluster, collected: StoredEvents
) -> None:
    three = [copies.start(ready=False) for _ in range(3)]
    for copy in three:
        copy.wait_until_ready()
    leader = eventual_leader(three)
    eventually(lambda: cluster.open_streams)

    with happening(cluster) as happened:
        eventually(lambda: collected.versions())
        leader.kill()
        others = [copy for copy in three if copy is not leader]
        frozen = eventual_leader(others)
        seen = len(collected.versions())
        eventually(lambda: len(collected.versions()) > seen)
        frozen.freeze()
        (last,) = (copy for copy in others if copy is not frozen)
        eventually(lambda: is_leader(last))
        frozen.thaw()
        eventually(lambda: not is_leader(frozen))

    eventually(lambda: collected.has_all(happened))
    assert collected.versions() == versions_of(happened)
    assert the_leader([frozen, last]) is last
    assert all(copy.is_ready for copy in (frozen, last))
    assert collected.sql("SELECT epoch FROM collector_lease") == [{"epoch": 3}]
    assert not collected.gaps()


def test_a_burst_waits_in_the_cluster_while_nothing_can_be_stored_and_is_then_stored_once_in_little_memory(
    copies: Copies, cluster: FakeCluster, collected: StoredEvents, database_url: str
) -> None:
    collector = copies.start(buffer=200)
    cluster.put(*(event(f"first-{number}", message=LONG) for number in range(500)))
    eventually(lambda: len(collected.names()) == 500)
    (stream,) = cluster.open_streams
    before = memory_kb(collector)

    with psycopg.connect(database_url) as blocker:
        blocker.execute("LOCK TABLE k8s_event IN ACCESS EXCLUSIVE MODE")
        burst = cluster.put(*(event(f"e{number}", message=LONG) for number in range(BURST)))
        eventually(lambda: stands_still(stream))
        assert stream.sent < BURST

    eventually(lambda: collected.has_all(burst), 120)
    assert len(collected.versions()) == 500 + BURST
    assert memory_kb(collector, "VmHWM") - before < 25 * MB
    assert len(cluster.requests_of("list")) == 1


def test_without_a_cluster_a_collector_says_so_and_waits(services: Services, database_url: str, tmp_path: Path) -> None:
    env = {"TASKCORE_DATABASE_URL": database_url, "HOME": str(tmp_path), "KUBECONFIG": ""}

    collector = services.start("collector-k8s", env=env)

    assert "no cluster" in httpx.get(f"{collector.url}/readyz", trust_env=False).text
    assert collector.terminate() == 0


def is_leader(copy: Service) -> bool:
    metrics = httpx.get(f"{copy.url}/metrics", trust_env=False, timeout=10).text
    return re.search(r"^taskcore_k8s_is_leader\{.*} 1\.0$", metrics, re.MULTILINE) is not None


def the_leader(copies: list[Service]) -> Service | None:
    leaders = [copy for copy in copies if is_leader(copy)]
    return leaders[0] if len(leaders) == 1 else None


def eventual_leader(copies: list[Service]) -> Service:
    leader = eventually(lambda: the_leader(copies))
    assert leader is not None
    return leader


def stands_still(stream: WatchStream) -> bool:
    """Nothing more of it is taken."""
    before = stream.sent
    return before > 0 and not threading.Event().wait(1) and stream.sent == before


def memory_kb(service: Service, kind: str = "VmRSS") -> int:
    status = Path(f"/proc/{service.pid}/status").read_text()
    found = re.search(rf"{kind}:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1])
