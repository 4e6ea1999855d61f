"""Creating, reading, changing and deleting schedules."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import httpx

from tests.taskapi.api_helpers import Database, field_errors_of, problem_of
from tests.taskapi.schedules.schedule_helpers import create_schedule, parse_time, schedule_body

NAMES = ("name", "cron", "every_s", "timezone", "jitter_s", "overlap", "catch_up", "catch_up_limit", "run_at_start")

#: Members that are not valid, and the field that is named.
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"cron": "61 * * * *"}, "cron"),
    ({"cron": "0 0 30 2 *"}, "cron"),
    ({"cron": "* * * * * *"}, "cron"),
    ({"cron": "0 0 * \0 *"}, "cron"),
    ({"cron": None}, "cron"),
    ({"every_s": 60}, "every_s"),
    ({"cron": None, "every_s": 0}, "every_s"),
    ({"timezone": "Europe/Nowhere"}, "timezone"),
    ({"timezone": "../etc/passwd"}, "timezone"),
    ({"name": "taskcore.mine"}, "name"),
    ({"name": "a\0b"}, "name"),
    ({"description": "\0"}, "description"),
    ({"jitter_s": -1}, "jitter_s"),
    ({"overlap": "maybe"}, "overlap"),
    ({"catch_up_limit": 1001}, "catch_up_limit"),
    ({"colour": "red"}, "colour"),
    ({"task": {"type": "nothing"}}, "task.type"),
    ({"task": {"type": "greet", "parameters": {"whom": ""}}}, "task.parameters.whom"),
    ({"task": {"type": "noop", "parameters": {"a": "\0"}}}, "task.parameters.a"),
    ({"task": {"type": "noop", "labels": {"a": "\0"}}}, "task.labels.a"),
    ({"task": {"type": "noop", "run_at": "2030-01-01T00:00:00Z"}}, "task.run_at"),
    ({"task": {"type": "noop", "depends_on": [1]}}, "task.depends_on"),
]
REFUSED_CHANGES: list[tuple[dict[str, Any], str]] = [
    ({"cron": None}, "cron"),
    ({"cron": "@hourly", "every_s": 60}, "every_s"),
    ({"cron": "no"}, "cron"),
    ({"timezone": "no"}, "timezone"),
    ({"timezone": None}, "timezone"),
    ({"task": {"type": "greet"}}, "task.parameters"),
    ({"name": "taskcore.x"}, "name"),
]


async def test_a_created_schedule_is_returned_with_every_default(api: httpx.AsyncClient) -> None:
    response = await api.post("/schedules", json=schedule_body(), headers={"X-Taskcore-User": "ada"})

    made = response.json()
    assert response.headers["location"] == f"/api/v1/schedules/{made['id']}"
    assert (await api.get(f"/schedules/{made['id']}")).json() == made
    assert [made[name] for name in NAMES] == ["nightly", "30 2 * * *", None, "UTC", 0, "skip", "last", 100, False]
    assert (made["task"], made["created_by"], made["missed"]) == ({"type": "noop"}, "user:ada", 0)
    assert parse_time(made["next_at"]).astimezone(UTC).strftime("%H:%M") == "02:30"
    assert [made[name] for name in ("last_at", "last_task_id", "paused_at", "managed_by")] == [None] * 4


async def test_an_interval_counts_from_its_creation(api: httpx.AsyncClient) -> None:
    later = await create_schedule(api, name="later", cron=None, every_s=600)
    at_once = await create_schedule(api, name="at once", cron=None, every_s=600, run_at_start=True)

    assert parse_time(later["next_at"]) - parse_time(later["created_at"]) == timedelta(seconds=600)
    assert at_once["next_at"] == at_once["created_at"]


async def test_a_name_can_be_used_only_once(api: httpx.AsyncClient, database: Database) -> None:
    await create_schedule(api)
    other = await create_schedule(api, name="other")

    again = await api.post("/schedules", json=schedule_body(cron="@hourly"))
    renamed = await api.patch(f"/schedules/{other['id']}", json={"name": "nightly"})

    problem_of(again, 409, "schedule_exists")
    problem_of(renamed, 409, "schedule_exists")
    assert [row["cron"] for row in database.execute("SELECT cron FROM schedule ORDER BY id")] == ["30 2 * * *"] * 2


async def test_a_schedule_that_could_not_fire_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    answers = [await api.post("/schedules", json=schedule_body(**members)) for members, _ in REFUSED]

    assert [list(field_errors_of(answer)) for answer in answers] == [[field] for _, field in REFUSED]
    assert database.execute("SELECT 1 FROM schedule").fetchone() is None


async def test_schedules_are_paged_by_id(api: httpx.AsyncClient) -> None:
    ids = [(await create_schedule(api, name=f"number {number}"))["id"] for number in range(3)]

    first = (await api.get("/schedules", params={"limit": 2})).json()
    second = (await api.get("/schedules", params={"limit": 2, "after": first["next_after"]})).json()

    assert [item["id"] for item in first["items"] + second["items"]] == ids
    assert (first["total"], second["total"], second["next_after"]) == (3, 3, None)


async def test_an_unknown_schedule_is_not_found(api: httpx.AsyncClient) -> None:
    answers = [
        await api.request(method, f"/schedules/77{path}", json={} if method == "PATCH" else None)
        for method, path in [
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("GET", "/preview"),
            ("GET", "/fires"),
            ("POST", "/pause"),
            ("POST", "/resume"),
            ("POST", "/run"),
        ]
    ]

    for answer in answers:
        problem_of(answer, 404, "schedule_not_found")


async def test_a_changed_interval_counts_from_the_last_time(api: httpx.AsyncClient, database: Database) -> None:
    made = await create_schedule(api, cron=None, every_s=3600)
    database.execute("UPDATE schedule SET last_at = now() - interval '10 minutes'")

    sooner = (await api.patch(f"/schedules/{made['id']}", json={"every_s": 900})).json()
    overdue = (await api.patch(f"/schedules/{made['id']}", json={"every_s": 300})).json()

    assert parse_time(sooner["next_at"]) - parse_time(sooner["last_at"]) == timedelta(seconds=900)
    assert parse_time(overdue["changed_at"]) <= parse_time(overdue["next_at"]) < parse_time(sooner["next_at"])


async def test_other_changes_keep_the_next_time(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api, description="what for")

    task = {"type": "greet", "parameters": {"whom": "Ada"}, "priority": 5}
    change = {"overlap": "queue", "task": task, "description": None, "cron": made["cron"]}
    changed = (await api.patch(f"/schedules/{made['id']}", json=change)).json()

    assert changed == {**made, **change, "changed_at": changed["changed_at"]}


async def test_cron_and_interval_replace_each_other(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api)

    every = (await api.patch(f"/schedules/{made['id']}", json={"every_s": 60})).json()
    cron = (await api.patch(f"/schedules/{made['id']}", json={"cron": "@hourly", "every_s": None})).json()

    assert (every["cron"], every["every_s"]) == (None, 60)
    assert (cron["cron"], cron["every_s"]) == ("@hourly", None)
    assert parse_time(cron["next_at"]).minute == 0


async def test_a_change_is_checked_like_a_new_schedule(api: httpx.AsyncClient) -> None:
    made = await create_schedule(api)

    answers = [await api.patch(f"/schedules/{made['id']}", json=change) for change, _ in REFUSED_CHANGES]

    assert [list(field_errors_of(answer)) for answer in answers] == [[field] for _, field in REFUSED_CHANGES]
    assert (await api.get(f"/schedules/{made['id']}")).json() == made


async def test_deleting_a_schedule_keeps_its_tasks(api: httpx.AsyncClient, database: Database) -> None:
    made = await create_schedule(api)
    task_id = (await api.post(f"/schedules/{made['id']}/run")).json()["task_id"]

    response = await api.delete(f"/schedules/{made['id']}")

    assert response.status_code == 204
    problem_of(await api.get(f"/schedules/{made['id']}"), 404, "schedule_not_found")
    assert (await api.get(f"/tasks/{task_id}")).status_code == 200
    assert database.execute("SELECT 1 FROM schedule_fire").fetchone() is None
