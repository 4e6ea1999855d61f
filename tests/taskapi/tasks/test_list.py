"""Lists of tasks: pages, filters and counts; lists of types, workers and queues."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx

from taskcore.db.engine import sync_engine
from taskcore.db.workers import workers
from tests.taskapi.api_helpers import Database, mark_finished, mark_running, submit, task_body


async def ids(api: httpx.AsyncClient, **query: Any) -> list[int]:
    response = await api.get("/tasks", params=query)
    assert response.status_code == 200, response.text
    return [item["id"] for item in response.json()["items"]]


async def test_without_a_filter_all_tasks_are_listed_newest_first(api: httpx.AsyncClient) -> None:
    submitted = [await submit(api) for _ in range(5)]

    assert await ids(api) == submitted[::-1]


async def test_a_cursor_neither_repeats_nor_misses_tasks_while_others_are_added(api: httpx.AsyncClient) -> None:
    submitted = [await submit(api) for _ in range(25)]

    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await api.get("/tasks", params={"limit": 10} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        await submit(api)

    assert seen == submitted[::-1]


async def test_the_last_page_has_no_cursor(api: httpx.AsyncClient) -> None:
    for _ in range(4):
        await submit(api)

    pages = [(await api.get("/tasks", params={"limit": limit})).json() for limit in (3, 4, 5)]

    assert [page["next_cursor"] is None for page in pages] == [False, True, True]
    assert [page["total"] for page in pages] == [4, 4, 4]


async def test_an_offset_skips_tasks(api: httpx.AsyncClient) -> None:
    submitted = [await submit(api) for _ in range(5)]

    assert await ids(api, offset=2, limit=2) == submitted[::-1][2:4]
    assert await ids(api, offset=100_000) == []


async def test_a_repeated_filter_matches_any_value_and_repeated_labels_match_all(
    api: httpx.AsyncClient, database: Database
) -> None:
    plain = await submit(api)
    greeting = await submit(api, type="greet", parameters={"whom": "you"})
    blue = await submit(api, labels={"team": "blue", "tier": "1"}, queue="own")
    red = await submit(api, labels={"team": "red", "tier": "1"})
    mark_running(database, plain)

    assert await ids(api, status="running") == [plain]
    assert await ids(api, status=["running", "queued"]) == [red, blue, greeting, plain]
    assert await ids(api, type="greet") == [greeting]
    assert await ids(api, queue=["own", "greetings"]) == [blue, greeting]
    assert await ids(api, label="tier=1") == [red, blue]
    assert await ids(api, label=["tier=1", "team=blue"]) == [blue]
    assert await ids(api, label="team=green") == []
    assert await ids(api, label="tier=1", queue="own", status="running") == []


async def test_q_matches_part_of_the_name_literally(api: httpx.AsyncClient) -> None:
    report = await submit(api, name="Nightly Report 100%")
    await submit(api, name="something else")

    assert await ids(api, q="nightly rep") == [report]
    assert await ids(api, q="100%") == [report]
    assert await ids(api, q="N_ghtly") == []


async def test_tasks_are_filtered_by_their_creation(api: httpx.AsyncClient) -> None:
    first = await submit(api)
    second = await submit(api)
    at = datetime.fromisoformat((await api.get(f"/tasks/{second}")).json()["created_at"])

    assert await ids(api, created_after=at.isoformat()) == [second]
    assert await ids(api, created_before=at.isoformat()) == [first]
    assert await ids(api, created_after=(at + timedelta(days=1)).isoformat()) == []


async def test_tasks_are_counted_per_status(api: httpx.AsyncClient, database: Database) -> None:
    for status in ("succeeded", "succeeded", "failed"):
        mark_finished(database, await submit(api), status)
    mark_running(database, await submit(api))
    await submit(api)

    counts = (await api.get("/tasks/status")).json()

    assert counts == {
        "blocked": 0,
        "paused": 0,
        "cancelling": 0,
        "scheduled": 0,
        "queued": 1,
        "running": 1,
        "retrying": 0,
        "succeeded": 2,
        "failed": 1,
        "cancelled": 0,
        "total": 5,
    }


async def test_types_workers_and_queues_are_listed(api: httpx.AsyncClient, database_url: str) -> None:
    await api.post("/tasks", json=task_body(queue="waiting"))
    engine = sync_engine(database_url, name="test", pool_size=1)
    with engine.connect() as connection:
        register = workers.register_worker(host="h", pid=5, slots=16, queues=["waiting"], types=["noop"], lease_s=30)
        connection.execute(register)
    engine.dispose()

    types = (await api.get("/task-types")).json()["items"]
    (worker,) = (await api.get("/workers")).json()["items"]
    (queue,) = (await api.get("/queues")).json()["items"]

    served = {known["name"]: known["is_served"] for known in types}
    assert served == {"greet": False, "noop": True, "patient": False, "stubborn": False}
    assert (types[0]["timeout"], types[0]["isolation"], types[0]["can_cancel"]) == (90, "thread", True)
    assert types[0]["schema"]["required"] == ["whom"]
    assert (worker["slots"], worker["held"], worker["is_live"], worker["types"]) == (16, 0, True, ["noop"])
    assert (queue["name"], queue["waiting"], queue["live_slots"]) == ("waiting", 1, 16)
    assert isinstance(queue["oldest_age_s"], float)
