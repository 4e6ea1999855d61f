"""Troubles of all kinds, one upon the other, while events happen: each is stored once, and none is said to be lost."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from harness.waiting import eventually
from tests.collector_k8s.collector_thread import StoredEvents, versions_of
from tests.collector_k8s.conftest import StartCollector
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import CORE_V1, EVENTS_V1, event
from tests.collector_k8s.fakes.responses import HANG_UP, NO_ANSWER, RequestKind, error_response

ASKS: tuple[RequestKind, ...] = ("list", "page", "watch")
REFUSALS = [error_response(410), error_response(429), error_response(500), HANG_UP, NO_ANSWER]


@pytest.mark.parametrize(("seed", "api"), [(1, CORE_V1), (2, EVENTS_V1)])
def test_nothing_is_missed_and_nothing_stored_twice(
    cluster: FakeCluster, collect: StartCollector, collected: StoredEvents, seed: int, api: str
) -> None:
    rng = random.Random(seed)
    cluster.bookmark_interval_s = 0.1
    settings = {"api": api, "bookmark_interval_s": 1, "relist_interval_s": 1, "page_size": 100, "buffer": 10}
    collecting = collect(**settings)
    events = []

    for number in range(15):
        rng.choice(troubles(cluster, rng))()
        if number % 5 == 4:
            collecting.stop()
            collecting = collect(**settings)
        events += cluster.put(*(event(f"e{number}-{one}") for one in range(rng.randint(1, 40))))
        time.sleep(rng.random() * 0.3)  # so that it comes at any moment
    cluster.respond_normally()

    eventually(lambda: collected.has_all(events))
    assert collected.versions() == versions_of(events)
    assert not collected.gaps()


def troubles(cluster: FakeCluster, rng: random.Random) -> list[Callable[[], None]]:
    def forget() -> None:
        cluster.store.forget_changes()
        cluster.cut_streams()

    def go_away() -> None:
        cluster.stop()
        cluster.start()

    return [
        cluster.cut_streams,
        lambda: cluster.cut_streams(within_a_line=True),
        cluster.silence_streams,
        lambda: cluster.fail_streams(rng.choice([410, 500])),
        lambda: cluster.respond_next(rng.choice(ASKS), rng.choice(REFUSALS)),
        cluster.renew_token,
        forget,
        go_away,
    ]
