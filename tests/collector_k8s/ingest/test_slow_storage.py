"""A reflector that waits for the buffer does not mistake old events for a sign of life."""

from __future__ import annotations

import threading
import time

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.events.buffer_item import BufferItem
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.ingest.reflector import Reflector
from harness.waiting import eventually
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event


def test_a_backlog_in_the_connection_is_not_a_sign_of_life(cluster: FakeCluster) -> None:
    items: list[BufferItem] = []
    stopped, is_blocked, resume = threading.Event(), threading.Event(), threading.Event()

    def put(item: BufferItem) -> None:
        items.append(item)
        if item.event is not None and item.event.name == "slow":
            is_blocked.set()
            resume.wait(60)

    settings = KubernetesSettings(kubeconfig=cluster.kubeconfig, bookmark_interval_s=0.1, event_ttl_s=0.5)
    client, status = ClusterClient(settings), CollectorStatus("here", 60)
    reflector = Reflector("", settings, client, EventFilter(settings, client), put, status, stopped)
    thread = threading.Thread(target=reflector.run)
    thread.start()
    eventually(lambda: cluster.open_streams)

    cluster.put(event("slow"))
    assert is_blocked.wait(60)
    blocked_at = time.monotonic()
    cluster.put(event("waits in the connection"))
    cluster.events.forget_changes()
    eventually(lambda: time.monotonic() - blocked_at > 1)
    resume.set()

    (gap, *_) = eventually(lambda: [item.gap_since for item in items if item.gap_since is not None])
    assert blocked_at - 1 < gap <= blocked_at
    stopped.set()
    reflector.interrupt()
    thread.join()
