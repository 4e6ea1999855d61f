"""Alerts that nothing was heard of are resolved: where the cluster could be heard, and by the copy at work."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from collector_k8s.store.alert_hook import AlertHook
from collector_k8s.store.event_store import EventStore, Lease, LeaseLost, StoreLimits
from taskcore.db.kubernetes import events
from taskcore.db.kubernetes.collector_leases import acquire_lease, create_lease
from taskcore.settings import AlertRule
from tests.collector_k8s.event_rows import event
from tests.collector_k8s.store.test_alert_hook import alerting, engine, note, rows, transaction

__all__ = ["engine"]


def hear(engine: Engine, *scopes: str, ago_s: float = 0, cluster: str = "home") -> None:
    with engine.connect() as connection:
        for scope in scopes or ("",):
            given = {"of_cluster": cluster, "of_scope": scope, "version": "1", "ago_s": ago_s}
            connection.execute(events.set_cursor(), given)


def resolve_quiet(engine: Engine, which: AlertHook, *scopes: str) -> None:
    with transaction(engine) as connection:
        while which.resolve_inactive(connection, "home", scopes or ("",)):
            continue


def test_what_is_quiet_is_resolved_and_only_in_its_cluster(engine: Engine) -> None:
    quick = alerting(engine, resolve_after_s=60)
    note(engine, quick, event(1), event(2, name="loud"), event(3, cluster="other"))
    rows_changed = "UPDATE alert SET seen_at = now() - interval '61 s' WHERE name <> 'loud' RETURNING id"
    assert len(rows(engine, rows_changed)) == 2

    hear(engine)
    hear(engine, cluster="other")

    resolve_quiet(engine, alerting(engine))
    resolve_quiet(engine, quick)

    found = rows(engine, "SELECT cluster, name, resolved_by FROM alert WHERE resolved_at IS NOT NULL")
    assert [tuple(row) for row in found] == [("home", "web-1", "inactivity")]


@pytest.mark.parametrize(
    ("heard_s", "is_resolved"),
    [
        ({}, False),
        ({"": 0}, False),
        ({"shop": 0}, False),
        ({"shop": 0, "mail": 50}, False),  # 50 s after the alert was
        ({"shop": 0, "mail": 30}, True),
        ({"shop": 0, "mail": 30, "of the settings before": 999}, True),
    ],
)
def test_an_alert_of_a_cluster_that_could_not_be_heard_since_is_not_quiet(
    engine: Engine, heard_s: dict[str, float], is_resolved: bool
) -> None:
    quick = alerting(engine, resolve_after_s=60)
    note(engine, quick, event(1))
    rows(engine, "UPDATE alert SET seen_at = now() - interval '100 s' RETURNING id")
    for scope, ago_s in heard_s.items():
        hear(engine, scope, ago_s=ago_s)

    resolve_quiet(engine, quick, "shop", "mail")

    assert len(rows(engine, "SELECT id FROM alert WHERE resolved_at IS NOT NULL")) == is_resolved


def test_a_copy_that_was_replaced_resolves_nothing(engine: Engine) -> None:
    lease = {"lease": "k8s:home"}
    with engine.connect() as connection:
        connection.execute(create_lease(), lease)
        (epoch,) = connection.execute(acquire_lease(), {**lease, "by": "me", "ttl_s": 60}).one()
    quick = alerting(engine, resolve_after_s=60)
    note(engine, quick, event(1))
    rows(engine, "UPDATE alert SET seen_at = now() - interval '100 s' RETURNING id")
    hear(engine)
    limits = StoreLimits(1, timedelta(hours=1))
    old, new = (EventStore(engine, "home", Lease("k8s:home", of), limits, quick) for of in (epoch - 1, epoch))

    with pytest.raises(LeaseLost):
        old.resolve_inactive(("",))

    assert rows(engine, "SELECT resolved_by FROM alert") == [(None,)]
    new.resolve_inactive(("",))
    assert rows(engine, "SELECT resolved_by FROM alert") == [("inactivity",)]


def test_more_than_a_batch_of_quiet_ones_is_resolved(engine: Engine) -> None:
    quick = alerting(engine, AlertRule(name="all"), resolve_after_s=60)
    note(engine, quick, *(event(n, name=f"web-{n}") for n in range(3)))
    columns = "rule, cluster, namespace, kind, name, reason, type, message, count, first_at, last_at"
    copies = columns.replace(" name,", " name || '-' || n,")
    many = f"INSERT INTO alert ({columns}) SELECT {copies} FROM alert, generate_series(1, 200) n RETURNING 1"
    assert len(rows(engine, many)) == 600
    rows(engine, "UPDATE alert SET seen_at = now() - interval '61 s' RETURNING 1")

    hear(engine)

    resolve_quiet(engine, quick)

    assert rows(engine, "SELECT count(*) FROM alert WHERE resolved_at IS NULL") == [(0,)]
