"""Ready is who hears the cluster, who waits for its turn, and who has no cluster to hear."""

from __future__ import annotations

from collector_k8s.health import CollectorState, CollectorStatus
from taskcore.observability.health import HealthServer
from taskcore.settings import HealthSettings

HOUR_S = 3_600.0


def leader(deaf_after_s: float) -> CollectorStatus:
    status = CollectorStatus("here", deaf_after_s)
    status.enter(CollectorState.LEADER, scopes=("shop", "bank"))
    return status


def test_a_copy_is_ready_once_it_knows_what_it_is_to_do() -> None:
    status = CollectorStatus("here", HOUR_S)
    assert not status.is_ready()

    status.enter(CollectorState.STANDBY)
    assert status.is_ready()

    status.enter(CollectorState.NO_CLUSTER, reason="no kubeconfig")
    assert status.is_ready()
    assert status.details() == {"kubernetes": "no cluster", "database": True, "why": "no kubeconfig"}


def test_a_leader_is_ready_once_every_stream_is_connected() -> None:
    status = leader(HOUR_S)

    status.connected("shop")
    assert not status.is_ready()
    assert status.details()["deaf"] == {"bank": "silence"}

    status.seen("bank")
    assert status.is_ready()
    assert "deaf" not in status.details()


def test_a_leader_that_hears_nothing_is_not_ready_and_says_why() -> None:
    status = leader(deaf_after_s=0)
    status.seen("shop")
    status.seen("bank")

    status.failed("shop", "forbidden")

    assert not status.is_ready()
    assert status.details()["deaf"] == {"shop": "forbidden", "bank": "silence"}


def test_connecting_again_is_no_sign_of_life() -> None:
    status = leader(HOUR_S)
    status.connected("shop")
    before = status.staleness_s()

    status.connected("shop")

    assert status.staleness_s() >= before
    status.seen("another")  # of an earlier term
    assert not status.is_ready()


def test_a_list_tells_that_a_cluster_is_there_unless_bookmarks_would() -> None:
    status = leader(HOUR_S)

    status.listed("shop")
    status.bookmark_seen("bank")
    heard = status.staleness_s()
    status.listed("bank")

    assert status.is_ready()
    assert (status.has_bookmarks("shop"), status.has_bookmarks("bank")) == (False, True)
    assert status.staleness_s() >= heard


def test_without_the_database_nobody_is_ready() -> None:
    status = CollectorStatus("here", HOUR_S)
    status.enter(CollectorState.STANDBY)

    status.has_database = False

    assert not status.is_ready()
    assert status.details() == {"kubernetes": "standby", "database": False}


def test_what_is_told_is_in_the_body_of_readyz() -> None:
    status = leader(HOUR_S)
    health = HealthServer(HealthSettings(port=0), None, status.is_ready, status.details)  # type: ignore[arg-type]

    code, _, body = health.respond("/readyz")

    assert code == 503
    assert body == (
        b'{"status": "not ready", "kubernetes": "leader", "database": true, '
        b'"deaf": {"shop": "silence", "bank": "silence"}}'
    )
