"""Kubernetes events over HTTP: pages, filters, gaps, versions, and following new ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, cast

import httpx
from sqlalchemy import Connection, Select, text

from taskcore.db.kubernetes import event_queries
from taskcore.db.kubernetes.event_queries import EventFilter
from tests.collector_k8s.event_rows import event, store
from tests.taskapi.api_helpers import field_errors_of, problem_of, submit
from tests.taskapi.kubernetes.event_helpers import ask, messages, minutes, store_gap


async def test_a_page_has_the_current_version_of_each_event_newest_first(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    store(collected, event(1, message="old", at=minutes(1)), event(2, message="second", at=minutes(2)))
    store(collected, event(3, uid="uid-1", message="new", count=4, at=minutes(3)))

    page = await ask(api)

    assert messages(page) == ["new", "second"]
    assert (page["next_before"], page["has_more"], page["gaps"]) == (None, False, [])
    first = page["items"][0]
    assert first["count"] == 4
    assert (first["uid"], first["resource_version"], first["is_current"]) == ("uid-1", "3", True)
    assert datetime.fromisoformat(first["at"]) == minutes(3)


async def test_pages_neither_repeat_nor_miss_events_of_the_same_time(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    store(collected, *(event(n, message=str(n), at=minutes(n // 3)) for n in range(10)))

    found: list[str] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        page = await ask(api, **query)
        found += messages(page)
        store(collected, event(100 + len(found), message="later", at=minutes(99)))
        if page["next_before"] is None:
            break
        query["before"] = page["next_before"]

    assert found == [str(n) for n in reversed(range(10))]


FILTERS: list[tuple[dict[str, Any], str]] = [
    ({"cluster": "other"}, "4"),
    ({"namespace": "shop"}, "5430"),
    ({"namespace": ["shop", "bank"]}, "54320"),
    ({"kind": "Node"}, "1"),
    ({"name": "web-9"}, "3"),
    ({"reason": "Pulled", "type": "Normal"}, "5"),
    ({"type": "Normal"}, "5"),
    ({"q": "50% O"}, "0"),
    ({"q": "%"}, "0"),
    ({"since": "2030-01-02T00:03:00Z"}, "543"),
    ({"namespace": "nowhere"}, ""),
]


async def test_events_are_filtered(api: httpx.AsyncClient, collected: Connection) -> None:
    several: list[dict[str, Any]] = [
        {"message": "0, 50% of"},
        {"kind": "Node", "namespace": ""},
        {"namespace": "bank"},
        {"name": "web-9"},
        {"cluster": "other"},
        {"type": "Normal", "reason": "Pulled"},
    ]
    store(collected, *(event(n, at=minutes(n), **{"message": str(n), **one}) for n, one in enumerate(several)))

    for query, found in FILTERS:
        assert "".join(message[0] for message in messages(await ask(api, **query))) == found, query


async def test_gaps_are_on_the_page_of_their_time(api: httpx.AsyncClient, collected: Connection) -> None:
    store(collected, *(event(n, message=str(n), at=minutes(n)) for n in range(4)))
    store_gap(collected, from_at=minutes(0.2), until_at=minutes(0.4))
    store_gap(collected, from_at=minutes(2.2), until_at=minutes(9), kind="rate_limited", reason="Failed", count=7)

    newer = await ask(api, limit=2)
    older = await ask(api, limit=2, before=newer["next_before"])

    assert [(one["kind"], one["reason"], one["count"]) for one in newer["gaps"]] == [("rate_limited", "Failed", 7)]
    assert [(one["kind"], one["reason"], one["count"]) for one in older["gaps"]] == [("lost", None, None)]


async def test_only_gaps_that_may_hide_matching_events_are_returned(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    store_gap(collected)
    store_gap(collected, namespace="shop", kind="rate_limited", reason="Failed", count=3)

    assert len((await ask(api, cluster="other"))["gaps"]) == 0
    assert len((await ask(api, namespace="bank"))["gaps"]) == 1
    assert len((await ask(api, namespace="shop"))["gaps"]) == 2
    assert len((await ask(api, reason="Pulled"))["gaps"]) == 1
    assert len((await ask(api, reason="Failed", kind="Job"))["gaps"]) == 2


async def test_all_versions_of_an_event_are_returned(api: httpx.AsyncClient, collected: Connection) -> None:
    rows = store(collected, event(1), event(2, uid="uid-1"), event(3), event(4, uid="uid-1"))
    path = f"/events/{rows[1].id}/versions"

    whole, first = await ask(api, path), await ask(api, path, limit=2)
    rest = await ask(api, path, after=first["next_after"])

    assert [item["resource_version"] for item in whole["items"]] == ["1", "2", "4"]
    assert [item["is_current"] for item in whole["items"]] == [False, False, True]
    assert whole["next_after"] is None
    assert first["items"] + rest["items"] == whole["items"]
    problem_of(await api.get("/events/99999/versions"), 404, "event_not_found")


async def test_a_task_has_the_events_about_its_pods(api: httpx.AsyncClient, collected: Connection) -> None:
    task_id, other = await submit(api), await submit(api)
    store(collected, event(1, message="a", task_id=task_id), event(2), event(3, message="b", task_id=task_id))
    path = f"/tasks/{task_id}/events"

    whole, first = await ask(api, path), await ask(api, path, limit=1)
    rest = await ask(api, path, after=first["next_after"])
    nothing_new = await ask(api, path, after=rest["next_after"])

    assert (messages(whole), messages(first), messages(rest), messages(nothing_new)) == (["a", "b"], ["a"], ["b"], [])
    assert (first["has_more"], rest["has_more"]) == (True, False)
    assert nothing_new["next_after"] == rest["next_after"]
    assert (await ask(api, f"/tasks/{other}/events"))["items"] == []
    problem_of(await api.get("/tasks/99999/events"), 404, "task_not_found")


async def test_events_outlive_their_task(api: httpx.AsyncClient, collected: Connection) -> None:
    store(collected, event(1, task_id=12345))

    assert len((await ask(api, "/tasks/12345/events"))["items"]) == 1


async def test_an_invalid_query_is_named(api: httpx.AsyncClient) -> None:
    for query, field in (
        ({"before": "x"}, "before"),
        ({"before": "999999999999999999.1"}, "before"),
        ({"after": "1"}, "after"),
        ({"after": "9999999999999999999.1"}, "after"),
        ({"before": "1.1", "after": "1.1"}, "after"),
        ({"since": "yesterday"}, "since"),
        ({"limit": "1001"}, "limit"),
        ({"kinds": "Pod"}, "kinds"),
    ):
        assert field in field_errors_of(await api.get("/events", params=query)), query


def test_each_filter_has_its_index(collected: Connection) -> None:
    many = text("""
        INSERT INTO k8s_event (cluster, uid, resource_version, is_current, namespace, kind, name, reason, type, message,
            component, count, first_at, at)
        SELECT 'home', n, n, n % 2 = 1, 'ns-' || n % 50, 'Pod', 'web-' || n % 500, 'r-' || n % 40, 'Normal', 'm',
            'c', 1,
            now(), now() - n * interval '1 s'
        FROM generate_series(1, 4000) n
    """)
    collected.execute(many)
    collected.execute(text("ANALYZE k8s_event"))

    def plan(which: EventFilter) -> str:
        statement = event_queries.list_events(which, limit=20, until_id=10**9)
        sql = cast("Select[Any]", statement).compile(collected.engine, compile_kwargs={"literal_binds": True})
        return "\n".join(row[0] for row in collected.execute(text(f"EXPLAIN {sql}")))

    assert "k8s_event_newest" in plan(EventFilter())
    assert "k8s_event_namespace" in plan(EventFilter(namespaces=["ns-3"]))
    assert "k8s_event_name" in plan(EventFilter(names=["web-3"], kinds=["Pod"]))
    assert "k8s_event_reason" in plan(EventFilter(reasons=["r-3"]))
