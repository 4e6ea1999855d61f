"""Reading new events after a position."""

from __future__ import annotations

import asyncio
from random import Random

import httpx
import psycopg
import pytest
from sqlalchemy import Connection, text

from taskcore.db.engine import sync_engine
from tests.collector_k8s.event_rows import event, store
from tests.taskapi.kubernetes.event_helpers import ask, messages, minutes, store_gap


async def test_following_returns_each_new_version_once_in_the_order_of_storing(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    store(collected, event(1, message="there before"))
    after = (await ask(api))["next_after"]

    store(collected, event(2, message="late", at=minutes(-99)), event(3, message="a", at=minutes(5)))
    store_gap(collected)
    first = await ask(api, after=after, limit=1)
    store(collected, event(4, message="superseded"), event(5, uid="uid-4", message="b"))
    second = await ask(api, after=first["next_after"])
    third = await ask(api, after=second["next_after"])

    assert (messages(first), messages(second), messages(third)) == (["late"], ["a", "b"], [])
    assert [page["has_more"] for page in (first, second, third)] == [True, False, False]
    assert [len(page["gaps"]) for page in (first, second, third)] == [1, 0, 0]


async def test_following_with_a_filter_continues_after_events_that_do_not_match(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    start = await ask(api, kind="Node")
    *_, last = store(collected, *(event(n) for n in range(3)))

    page = await ask(api, kind="Node", after=start["next_after"])

    assert page["items"] == []
    assert page["next_after"] == f"{last.id}.0"


async def test_ids_of_two_clusters_become_visible_in_order(
    api: httpx.AsyncClient, collected: Connection, database_url: str
) -> None:
    after = (await ask(api))["next_after"]
    with collected.execution_options(isolation_level="READ COMMITTED").begin():
        store(collected, event(1, message="slow"))
        with psycopg.connect(database_url, options="-c lock_timeout=200ms") as other:
            columns = "cluster, namespace, kind, from_at, until_at"
            with pytest.raises(psycopg.errors.LockNotAvailable):
                other.execute(f"INSERT INTO k8s_gap ({columns}) VALUES ('other', '', 'lost', now(), now())")

    assert messages(await ask(api, after=after)) == ["slow"]


async def test_a_follower_gets_every_event_once_while_clusters_write(api: httpx.AsyncClient, database_url: str) -> None:
    engine = sync_engine(database_url, name="tests", pool_size=3)
    after, found = (await ask(api))["next_after"], list[int]()

    def write(cluster: str) -> None:
        random = Random(cluster)
        for number in range(0, 150, 3):
            with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
                store(connection, *(event(n, cluster=cluster) for n in range(number, number + 3)))
                connection.execute(text("SELECT pg_sleep(:s)"), {"s": random.random() / 100})
                connection.commit()

    writing = [asyncio.create_task(asyncio.to_thread(write, cluster)) for cluster in ("a", "b", "c")]
    is_over = False
    while not is_over:
        is_over = all(task.done() for task in writing)
        page = await ask(api, after=after, limit=7)
        after, is_over = page["next_after"], is_over and not page["has_more"]
        found += [item["id"] for item in page["items"]]

    await asyncio.gather(*writing)
    engine.dispose()
    assert len(found) == len(set(found)) == 450
