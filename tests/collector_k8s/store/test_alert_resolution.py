"""Inactive alerts are resolved by the leader, while their cluster can be read."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from collector_k8s.lease import LeaseLost
from collector_k8s.store.alert_hook import AlertHook
from collector_k8s.store.event_store import EventStore, StoreLimits
from taskcore.db.kubernetes import events
from taskcore.settings import AlertRule
from tests.collector_k8s.database import acquire, query, transaction
from tests.collector_k8s.event_rows import event
from tests.collector_k8s.store.alert_harness import add_events, alert_hook


def mark_seen(engine: Engine, *scopes: str, ago_s: float = 0, cluster: str = "home") -> None:
    with engine.connect() as connection:
        for scope in scopes or ("",):
            cursor = {"of_cluster": cluster, "of_scope": scope, "version": "1", "ago_s": ago_s}
            connection.execute(events.set_cursor(), cursor)


def resolve_inactive(engine: Engine, hook: AlertHook, *scopes: str) -> None:
    with transaction(engine) as connection:
        while hook.resolve_inactive(connection, "home", scopes or ("",)):
            continue


def test_inactive_alerts_of_the_cluster_are_resolved(engine: Engine) -> None:
    hook = alert_hook(engine, resolve_after_s=60)
    add_events(engine, hook, event(1), event(2, name="active"), event(3, cluster="other"))
    age = "UPDATE alert SET seen_at = now() - interval '61 s' WHERE name <> 'active' RETURNING id"
    assert len(query(engine, age)) == 2

    mark_seen(engine)
    mark_seen(engine, cluster="other")

    resolve_inactive(engine, alert_hook(engine))
    resolve_inactive(engine, hook)

    found = query(engine, "SELECT cluster, name, resolved_by FROM alert WHERE resolved_at IS NOT NULL")
    assert [tuple(row) for row in found] == [("home", "web-1", "inactivity")]


@pytest.mark.parametrize(
    ("seen_ago_s", "is_resolved"),
    [
        ({}, False),
        ({"": 0}, False),
        ({"shop": 0}, False),
        ({"shop": 0, "mail": 50}, False),  # 50 s after the last event of the alert
        ({"shop": 0, "mail": 30}, True),
        ({"shop": 0, "mail": 30, "a former namespace": 999}, True),
    ],
)
def test_an_alert_stays_open_while_its_cluster_cannot_be_read(
    engine: Engine, seen_ago_s: dict[str, float], is_resolved: bool
) -> None:
    hook = alert_hook(engine, resolve_after_s=60)
    add_events(engine, hook, event(1))
    query(engine, "UPDATE alert SET seen_at = now() - interval '100 s' RETURNING id")
    for scope, ago_s in seen_ago_s.items():
        mark_seen(engine, scope, ago_s=ago_s)

    resolve_inactive(engine, hook, "shop", "mail")

    assert len(query(engine, "SELECT id FROM alert WHERE resolved_at IS NOT NULL")) == is_resolved


def test_a_former_leader_resolves_nothing(engine: Engine) -> None:
    lease = acquire(engine, ttl_s=60)
    former_lease = replace(lease, epoch=lease.epoch - 1)
    hook = alert_hook(engine, resolve_after_s=60)
    add_events(engine, hook, event(1))
    query(engine, "UPDATE alert SET seen_at = now() - interval '100 s' RETURNING id")
    mark_seen(engine)
    limits = StoreLimits(1, timedelta(hours=1))
    former, leader = (EventStore(engine, "home", one, limits, hook) for one in (former_lease, lease))

    with pytest.raises(LeaseLost):
        former.resolve_inactive(("",))

    assert query(engine, "SELECT resolved_by FROM alert") == [(None,)]
    leader.resolve_inactive(("",))
    assert query(engine, "SELECT resolved_by FROM alert") == [("inactivity",)]


def test_more_than_one_batch_of_alerts_is_resolved(engine: Engine) -> None:
    hook = alert_hook(engine, AlertRule(name="all"), resolve_after_s=60)
    add_events(engine, hook, *(event(n, name=f"web-{n}") for n in range(3)))
    columns = "rule, cluster, namespace, kind, name, reason, type, message, count, first_at, last_at"
    values = columns.replace(" name,", " name || '-' || n,")
    multiply = f"INSERT INTO alert ({columns}) SELECT {values} FROM alert, generate_series(1, 200) n RETURNING 1"
    assert len(query(engine, multiply)) == 600
    query(engine, "UPDATE alert SET seen_at = now() - interval '61 s' RETURNING 1")

    mark_seen(engine)

    resolve_inactive(engine, hook)

    assert query(engine, "SELECT count(*) FROM alert WHERE resolved_at IS NULL") == [(0,)]
