"""Pausing, resuming and running schedules; their fires and previews; managed schedules."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
from litestar import Litestar
from psycopg import sql

from taskcore.db.engine import sync_engine
from taskcore.db.notify import SCHEDULES
from taskcore.db.schedules.managed import ensure_managed_schedule
from taskcore.submission.from_schedule import fire_due
from tests.taskapi.api_helpers import Database, field_errors_of, mark_finished, problem_of
from tests.taskapi.schedules.schedule_helpers import create_schedule, parse_time

REFUSED_PREVIEWS: list[tuple[dict[str, Any], str]] = [
    ({"cron": "0 0 30 2 *"}, "cron"),
    ({"cron": "@daily", "timezone": "Mars/Olympus"}, "timezone"),
    ({"every_s": 0.5}, "every_s"),
    ({}, "cron"),
    ({"cron": "@daily", "count": 101}, "count"),
]


async def test_a_pause_has_a_reason_and_its_times_are_not_made_up_for(
    api: httpx.AsyncClient, database: Database
) -> None:
    made = await create_schedule(api, cron="@hourly")
    path = f"/schedules/{made['id']}"

    paused = (await api.post(f"{path}/pause", json={"reason": "moving"})).json()
    database.execute("UPDATE schedule SET next_at = now() - interval '5 hours'")
    resumed = (await api.post(f"{path}/resume")).json()

    assert (paused["pause_reason"], paused["paused_at"] is not None) == ("moving", True)
    assert (resumed["pause_reason"], resumed["paused_at"], resumed["missed"]) == (None, None, 0)
    assert parse_time(resumed["next_at"]) > parse_time(resumed["changed_at"])


async def test_resuming_an_active_schedule_changes_nothing(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api, cron=None, every_s=60, run_at_start=True)

    resumed = await api.post(f"/schedules/{made['id']}/resume")

    assert resumed.json() == made


async def test_run_now_submits_the_task_and_keeps_the_next_time(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api, task={"type": "greet", "parameters": {"whom": "Ada"}, "labels": {"a": "b"}})
    path = f"/schedules/{made['id']}"

    response = await api.post(f"{path}/run", headers={"X-Taskcore-User": "ada"})

    ran = response.json()
    assert (response.status_code, response.headers["location"]) == (201, f"/api/v1/tasks/{ran['task_id']}")
    task = (await api.get(f"/tasks/{ran['task_id']}")).json()
    assert (task["name"], task["type"], task["queue"]) == ("nightly", "greet", "greetings")
    assert task["labels"] == {"a": "b", "taskcore.io/schedule": "nightly"}
    (first,) = (await api.get(f"/tasks/{ran['task_id']}/history")).json()["items"]
    assert first["actor"] == "user:ada"
    now = (await api.get(path)).json()
    assert (now["next_at"], now["last_task_id"]) == (made["next_at"], ran["task_id"])


async def test_run_now_is_refused_while_the_previous_task_runs_unless_they_may_overlap(
    api: httpx.AsyncClient, database: Database
) -> None:
    made = await create_schedule(api)
    path = f"/schedules/{made['id']}"
    first = (await api.post(f"{path}/run")).json()["task_id"]

    refused = problem_of(await api.post(f"{path}/run"), 409, "schedule_overlap")
    await api.patch(path, json={"overlap": "allow"})
    beside = await api.post(f"{path}/run")
    await api.patch(path, json={"overlap": "skip"})
    for task_id in (first, beside.json()["task_id"]):
        mark_finished(database, task_id)
    after = await api.post(f"{path}/run")

    assert refused["task_id"] == first
    assert (beside.status_code, after.status_code) == (201, 201)


async def test_one_of_two_concurrent_runs_is_refused(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api)
    path = f"/schedules/{made['id']}/run"

    answers = await asyncio.gather(*(api.post(path) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


async def test_a_created_schedule_fires_with_every_member_of_its_task(app: Litestar, api: httpx.AsyncClient) -> None:
    task = {"type": "greet", "parameters": {"whom": "Ada"}, "name": "hello", "queue": "mail", "priority": 7}
    more = {"max_attempts": 2, "timeout": 30, "delete_after": 60, "labels": {"a": "b"}, "description": "what for"}
    made = await create_schedule(api, cron=None, every_s=3600, run_at_start=True, task={**task, **more})

    async with app.state.services.database.transaction() as connection:
        await fire_due(connection, made["id"])

    now = (await api.get(f"/schedules/{made['id']}")).json()
    (fire,) = (await api.get(f"/schedules/{made['id']}/fires")).json()["items"]
    assert (now["last_at"], fire["due_at"]) == (made["created_at"], made["created_at"])
    assert parse_time(now["next_at"]) - parse_time(made["created_at"]) == timedelta(hours=1)
    fired = (await api.get(f"/tasks/{now['last_task_id']}")).json()
    labels = {"a": "b", "taskcore.io/schedule": "nightly"}
    assert {name: fired[name] for name in (*task, *more)} == {**task, **more, "labels": labels}
    (first,) = (await api.get(f"/tasks/{fire['task_id']}/history")).json()["items"]
    assert first["actor"] == f"schedule:{made['id']}"


async def test_fires_are_paged_newest_first(api: httpx.AsyncClient, database: Database) -> None:
    made = await create_schedule(api)
    database.execute(
        "INSERT INTO schedule_fire (schedule_id, due_at, task_id, waits) VALUES"
        " (%(id)s, '2030-01-01T00:00:00.123456Z', 5, false), (%(id)s, '2030-01-02T00:00:00Z', NULL, false),"
        " (%(id)s, '2030-01-03T00:00:00Z', NULL, true)",
        {"id": made["id"]},
    )
    path = f"/schedules/{made['id']}/fires"

    first = (await api.get(path, params={"limit": 2})).json()
    second = (await api.get(path, params={"limit": 2, "before": first["next_before"]})).json()

    items = first["items"] + second["items"]
    assert [(item["due_at"][:10], item["task_id"]) for item in items] == [
        ("2030-01-03", None),
        ("2030-01-02", None),
        ("2030-01-01", 5),
    ]
    assert [(item["waits"], item["skipped"]) for item in items] == [(True, False), (False, True), (False, False)]
    assert second["next_before"] is None
    assert (await api.get(path, params={"before": items[2]["due_at"]})).json()["items"] == []


async def test_a_preview_has_times_in_utc_and_in_the_time_zone(api: httpx.AsyncClient) -> None:
    body = {"cron": "30 2 * * *", "timezone": "Asia/Kolkata", "count": 3}

    response = await api.post("/schedules/preview", json=body)

    times = response.json()["times"]
    assert [time["local"][10:] for time in times] == ["T02:30:00+05:30"] * 3
    assert [time["at"][10:] for time in times] == ["T21:00:00Z"] * 3
    assert parse_time(times[1]["at"]) - parse_time(times[0]["at"]) == timedelta(days=1)
    assert (await api.get("/schedules")).json()["total"] == 0


async def test_a_schedule_previews_its_next_times(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api, cron=None, every_s=600, timezone="Europe/Berlin")

    response = await api.get(f"/schedules/{made['id']}/preview", params={"count": 2})

    times = [parse_time(time["at"]) for time in response.json()["times"]]
    assert times == [parse_time(made["next_at"]), parse_time(made["next_at"]) + timedelta(seconds=600)]


async def test_a_preview_refuses_times_that_a_schedule_cannot_have(api: httpx.AsyncClient) -> None:
    answers = [await api.post("/schedules/preview", json=body) for body, _ in REFUSED_PREVIEWS]

    assert [list(field_errors_of(answer)) for answer in answers] == [[field] for _, field in REFUSED_PREVIEWS]


async def test_a_managed_schedule_can_only_be_paused_and_run(api: httpx.AsyncClient, database_url: str) -> None:
    path = f"/schedules/{create_managed_schedule(database_url)}"

    changed, deleted = await api.patch(path, json={"every_s": 5}), await api.delete(path)
    paused, ran = await api.post(f"{path}/pause"), await api.post(f"{path}/run")

    assert "its.setting" in problem_of(changed, 409, "schedule_managed")["detail"]
    problem_of(deleted, 409, "schedule_managed")
    assert (paused.status_code, ran.status_code) == (200, 201)
    assert (await api.get(path)).json()["managed_by"] == "keeper"


async def test_a_change_notifies_the_coordinators(api: httpx.AsyncClient, database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener:
        await listener.execute(sql.SQL("LISTEN {}").format(sql.Identifier(SCHEDULES)))

        await create_schedule(api)

        async with asyncio.timeout(10):
            heard = await anext(aiter(listener.notifies()))
        assert heard.channel == SCHEDULES


async def test_two_concurrent_changes_are_both_made(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api)
    path = f"/schedules/{made['id']}"

    await asyncio.gather(api.patch(path, json={"jitter_s": 5}), api.patch(path, json={"timezone": "Asia/Tokyo"}))

    now = (await api.get(path)).json()
    assert (now["jitter_s"], now["timezone"]) == (5, "Asia/Tokyo")
    assert parse_time(now["next_at"]).astimezone(UTC).hour == 17
    assert parse_time(now["next_at"]) > datetime.now(UTC)


def create_managed_schedule(url: str) -> int:
    """Create a managed schedule, like a service does when it starts."""
    engine = sync_engine(url, name="test", pool_size=1)
    task = {"name": "beat", "type": "noop"}
    made = ensure_managed_schedule(
        "taskcore.beat", managed_by="keeper", every_s=60, task=task, description="Its interval is its.setting"
    )
    with engine.connect() as connection:
        ((schedule_id,),) = connection.execute(made).all()
    engine.dispose()
    return int(schedule_id)
