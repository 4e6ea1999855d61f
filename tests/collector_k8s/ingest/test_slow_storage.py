"""A reader that was held up does not take what is old for news."""

from __future__ import annotations

import threading
import time

from collector_k8s.cluster.client import ClusterClient
from collector_k8s.health import CollectorStatus
from collector_k8s.ingest.event_filter import EventFilter
from collector_k8s.ingest.reflector import Reflector
from collector_k8s.store.event_store import BufferItem
from harness.waiting import eventually
from taskcore.settings import KubernetesSettings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event


def test_what_waited_too_long_to_be_stored_is_not_taken_for_heard_just_now(cluster: FakeCluster) -> None:
    items: list[BufferItem] = []
    over, slow, goes_on = threading.Event(), threading.Event(), threading.Event()

    def put(item: BufferItem) -> None:
        items.append(item)
        if item.event is not None and item.event.name == "slow":
            slow.set()
            goes_on.wait(60)

    settings = KubernetesSettings(kubeconfig=cluster.kubeconfig, bookmark_interval_s=0.1, event_ttl_s=0.5)
    asking, status = ClusterClient(settings), CollectorStatus("here", 60)
    reader = Reflector("", settings, asking, EventFilter(settings, asking), put, status, over)
    reading = threading.Thread(target=reader.run)
    reading.start()
    eventually(lambda: cluster.open_streams)

    cluster.put(event("slow"))
    assert slow.wait(60)
    began = time.monotonic()
    cluster.put(event("waits in the connection"))
    cluster.store.forget_changes()
    eventually(lambda: time.monotonic() - began > 1)
    goes_on.set()

    lost = eventually(lambda: [item for item in items if item.gap_since is not None])
    assert began - 1 < (lost[0].gap_since or 0) <= began
    over.set()
    reader.interrupt()
    reading.join()
