"""A copy is ready while all its streams are alive, on standby, and without a cluster."""

from __future__ import annotations

from collector_k8s.health import CollectorState, CollectorStatus
from taskcore.observability.health import HealthServer
from taskcore.settings import HealthSettings

HOUR_S = 3_600.0


def leader(stale_after_s: float) -> CollectorStatus:
    status = CollectorStatus("here", stale_after_s)
    status.enter(CollectorState.LEADER, scopes=("shop", "bank"))
    return status


def test_a_copy_is_ready_once_it_knows_its_state() -> None:
    status = CollectorStatus("here", HOUR_S)
    assert not status.is_ready()

    status.enter(CollectorState.STANDBY)
    assert status.is_ready()

    status.enter(CollectorState.NO_CLUSTER, reason="no kubeconfig")
    assert status.is_ready()
    assert status.details() == {"kubernetes": "no cluster", "database": True, "reason": "no kubeconfig"}


def test_a_copy_that_cannot_use_its_credentials_is_not_ready() -> None:
    status = CollectorStatus("here", HOUR_S)

    status.enter(CollectorState.UNUSABLE, reason="no such file: ca.pem")

    assert not status.is_ready()
    assert status.details() == {
        "kubernetes": "unusable credentials",
        "database": True,
        "reason": "no such file: ca.pem",
    }


def test_a_leader_is_ready_once_every_stream_is_connected() -> None:
    status = leader(HOUR_S)

    status.connected("shop")
    assert not status.is_ready()
    assert status.details()["stale"] == {"bank": "silence"}

    status.seen("bank")
    assert status.is_ready()
    assert "stale" not in status.details()


def test_a_leader_with_stale_streams_is_not_ready_and_reports_errors() -> None:
    status = leader(stale_after_s=0)
    status.seen("shop")
    status.seen("bank")

    status.failed("shop", "forbidden")

    assert not status.is_ready()
    assert status.details()["stale"] == {"shop": "forbidden", "bank": "silence"}


def test_a_stream_that_was_never_seen_becomes_staler() -> None:
    """No copy of the chart is taken for unready because of it, so the metric has to tell."""
    forbidden, unusable, standby = leader(HOUR_S), CollectorStatus("here", HOUR_S), CollectorStatus("here", HOUR_S)
    unusable.enter(CollectorState.UNUSABLE)
    standby.enter(CollectorState.STANDBY)
    before = (forbidden.staleness_s(), unusable.staleness_s())

    unusable.enter(CollectorState.UNUSABLE)  # another attempt to read the credentials

    assert forbidden.staleness_s() > before[0] > 0
    assert unusable.staleness_s() > before[1] > 0
    assert standby.staleness_s() == 0


def test_connecting_again_is_not_a_sign_of_life() -> None:
    status = leader(HOUR_S)
    status.connected("shop")
    before = status.staleness_s()

    status.connected("shop")

    assert status.staleness_s() >= before
    status.seen("another")  # a stream of an earlier session
    assert not status.is_ready()


def test_a_list_is_a_sign_of_life_without_bookmarks() -> None:
    status = leader(HOUR_S)

    status.listed("shop")
    status.bookmark_seen("bank")
    staleness_s = status.staleness_s()
    status.listed("bank")

    assert status.is_ready()
    assert (status.has_bookmarks("shop"), status.has_bookmarks("bank")) == (False, True)
    assert status.staleness_s() >= staleness_s


def test_no_copy_is_ready_without_the_database() -> None:
    status = CollectorStatus("here", HOUR_S)
    status.enter(CollectorState.STANDBY)

    status.has_database = False

    assert not status.is_ready()
    assert status.details() == {"kubernetes": "standby", "database": False}


def test_readyz_shows_the_details() -> None:
    status = leader(HOUR_S)
    health = HealthServer(HealthSettings(port=0), None, status.is_ready, status.details)  # type: ignore[arg-type]

    code, _, body = health.respond("/readyz")

    assert code == 503
    assert body == (
        b'{"status": "not ready", "kubernetes": "leader", "database": true, '
        b'"stale": {"shop": "silence", "bank": "silence"}}'
    )
