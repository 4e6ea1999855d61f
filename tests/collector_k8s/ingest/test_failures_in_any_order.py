"""Random sequences of failures while events happen: each event is stored once, and none is recorded as lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, Event, event
from tests.collector_k8s.fakes.responses import HANG_UP, NO_ANSWER, RequestKind, error_response

KINDS: tuple[RequestKind, ...] = ("list", "page", "watch")
RESPONSES = [error_response(410), error_response(429), error_response(500), HANG_UP, NO_ANSWER]


@pytest.mark.parametrize(("seed", "api"), [(1, CORE_V1), (2, EVENTS_V1)])
def test_every_version_is_stored_once(
    cluster: FakeCluster, start_collector: StartCollector, stored: StoredEvents, seed: int, api: str
) -> None:
    rng = random.Random(seed)
    cluster.bookmark_interval_s = 0.1
    settings: dict[str, Any] = {
        "api": api,
        "bookmark_interval_s": 1,
        "relist_interval_s": 1,
        "page_size": 100,
        "buffer": 10,
    }
    collector = start_collector(**settings)
    events: list[Event] = []

    for number in range(15):
        rng.choice(failures(cluster, rng))()
        if number % 5 == 4:
            collector.stop()
            collector = start_collector(**settings)
        events += cluster.put(*(event(f"e{number}-{one}") for one in range(rng.randint(1, 40))))
        time.sleep(rng.random() * 0.3)  # so that the next failure comes at a random moment
    cluster.respond_normally()

    eventually(lambda: stored.has_all(events))
    assert stored.versions() == versions_of(events)
    assert not stored.gaps()


def failures(cluster: FakeCluster, rng: random.Random) -> list[Callable[[], None]]:
    def forget() -> None:
        cluster.events.forget_changes()
        cluster.cut_streams()

    def restart() -> None:
        cluster.stop()
        cluster.start()

    return [
        cluster.cut_streams,
        lambda: cluster.cut_streams(within_a_line=True),
        cluster.silence_streams,
        lambda: cluster.fail_streams(rng.choice([410, 500])),
        lambda: cluster.respond_next(rng.choice(KINDS), rng.choice(RESPONSES)),
        cluster.renew_token,
        forget,
        restart,
    ]
