"""Pausing, resuming and deleting queues, and how many there may be."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import (
    Database,
    field_errors_of,
    mark_finished,
    mark_running,
    problem_of,
    submit,
    task_body,
)


async def test_a_queue_is_paused_with_its_reason_and_resumed(api: httpx.AsyncClient) -> None:
    await submit(api)

    paused = await api.post("/queues/default/pause", json={"reason": "the mail server is being moved"})

    assert paused.status_code == 200
    listed = (await api.get("/queues")).json()["items"]
    assert [queue["name"] for queue in listed] == [paused.json()["name"]] == ["default"]
    assert (listed[0]["waiting"], listed[0]["pause_reason"]) == (1, "the mail server is being moved")
    assert listed[0]["paused_at"] is not None
    again = (await api.post("/queues/default/pause", json={"reason": "it takes longer"})).json()
    assert (again["paused_at"], again["pause_reason"]) == (listed[0]["paused_at"], "it takes longer")
    resumed = await api.post("/queues/default/resume")
    assert (resumed.json()["paused_at"], resumed.json()["pause_reason"]) == (None, None)


async def test_a_queue_may_be_paused_before_its_first_task(api: httpx.AsyncClient) -> None:
    problem_of(await api.post("/queues/later/resume"), 404, "queue_not_found")

    paused = (await api.post("/queues/later/pause")).json()

    assert (paused["name"], paused["paused_at"] is not None, paused["pause_reason"]) == ("later", True, None)
    await submit(api, queue="later")
    assert (await api.get("/queues")).json()["items"][0]["paused_at"] == paused["paused_at"]


@pytest.mark.parametrize("name", ["no spaces", "n%0A", "x" * 256, "%00", "amq.evil", "worker.999"])
async def test_an_invalid_queue_name_is_refused(api: httpx.AsyncClient, name: str) -> None:
    assert list(field_errors_of(await api.delete(f"/queues/{name}"))) == ["name"]
    for call in ("pause", "resume"):
        assert list(field_errors_of(await api.post(f"/queues/{name}/{call}"))) == ["name"]


async def test_an_unused_queue_is_deleted(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api, queue="mine")
    mark_finished(database, task_id)

    assert (await api.delete("/queues/mine")).status_code == 204

    assert (await api.get("/queues")).json()["items"] == []
    problem_of(await api.delete("/queues/mine"), 404, "queue_not_found")
    problem_of(await api.post("/queues/mine/resume"), 404, "queue_not_found")


async def test_a_task_brings_a_deleted_queue_back(api: httpx.AsyncClient, database: Database) -> None:
    mark_finished(database, await submit(api, queue="mine"))
    await api.delete("/queues/mine")

    await submit(api, queue="mine")

    assert [queue["name"] for queue in (await api.get("/queues")).json()["items"]] == ["mine"]


async def test_a_queue_with_a_task_is_not_deleted(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api, queue="mine")
    assert "tasks" in problem_of(await api.delete("/queues/mine"), 409, "queue_in_use")["detail"]

    mark_running(database, task_id)

    problem_of(await api.delete("/queues/mine"), 409, "queue_in_use")


async def test_a_queue_that_a_schedule_names_is_not_deleted(api: httpx.AsyncClient, database: Database) -> None:
    mark_finished(database, await submit(api, queue="mine"))
    schedule = {"name": "nightly", "cron": "@daily", "task": {"type": "noop", "queue": "mine"}}
    assert (await api.post("/schedules", json=schedule)).status_code == 201

    assert "schedule" in problem_of(await api.delete("/queues/mine"), 409, "queue_in_use")["detail"]


async def test_a_queue_of_a_live_worker_is_not_deleted(api: httpx.AsyncClient, database: Database) -> None:
    mark_finished(database, await submit(api, queue="mine"))
    mark_finished(database, await submit(api, type="greet", parameters={"whom": "you"}))
    database.execute(
        "INSERT INTO worker (host, pid, slots, queues, types, lease_s) VALUES ('here', 1, 1, '{mine}', '{greet}', 60)"
    )

    assert "worker.queues" in problem_of(await api.delete("/queues/mine"), 409, "queue_in_use")["detail"]
    assert "task type" in problem_of(await api.delete("/queues/greetings"), 409, "queue_in_use")["detail"]


@pytest.fixture
async def full(api: httpx.AsyncClient) -> httpx.AsyncClient:
    """An API with two queues, where no more are allowed."""
    assert (await api.put("/settings/queues.max", json={"value": 2})).status_code == 200
    await submit(api, queue="one")
    await submit(api, queue="two")
    return api


async def test_a_task_cannot_invent_a_queue_beyond_the_limit(full: httpx.AsyncClient) -> None:
    refused = await full.post("/tasks", json=task_body(queue="three"))

    assert "queues.max" in field_errors_of(refused)["queue"]
    await submit(full, queue="two")
    await full.put("/settings/queues.max", json={"value": 3})
    await submit(full, queue="three")


async def test_the_queue_of_a_type_is_never_beyond_the_limit(full: httpx.AsyncClient) -> None:
    await submit(full, type="greet", parameters={"whom": "you"})
    await submit(full, queue="greetings")


async def test_tasks_of_a_batch_that_invent_too_many_queues_are_refused(api: httpx.AsyncClient) -> None:
    await api.put("/settings/queues.max", json={"value": 2})
    tasks = [task_body(queue=queue) for queue in ("one", "two", "three", "one", "four")]

    refused = await api.post("/tasks/batch", json={"tasks": tasks})
    stored = await api.post("/tasks/batch", json={"tasks": tasks, "atomic": False})

    assert list(field_errors_of(refused)) == ["tasks[2].queue", "tasks[4].queue"]
    assert stored.json()["created"] == 3
    assert [queue["name"] for queue in (await api.get("/queues")).json()["items"]] == ["one", "two"]


async def test_neither_a_schedule_nor_a_pause_invents_a_queue_beyond_the_limit(full: httpx.AsyncClient) -> None:
    schedule = {"name": "nightly", "cron": "@daily", "task": {"type": "noop", "queue": "three"}}

    assert "queues.max" in field_errors_of(await full.post("/schedules", json=schedule))["task.queue"]
    assert "queues.max" in field_errors_of(await full.post("/queues/three/pause"))["name"]
    assert (await full.post("/queues/two/pause")).status_code == 200


async def test_a_queue_that_only_a_schedule_names_counts(api: httpx.AsyncClient) -> None:
    await api.put("/settings/queues.max", json={"value": 1})
    schedule = {"name": "nightly", "cron": "@daily", "task": {"type": "noop", "queue": "nightly"}}
    assert (await api.post("/schedules", json=schedule)).status_code == 201

    assert list(field_errors_of(await api.post("/tasks", json=task_body(queue="other")))) == ["queue"]


@pytest.mark.parametrize("name", ["amq.x", "worker.1", "no spaces", "n\n"])
async def test_a_schedule_and_an_alert_rule_name_no_reserved_queue(api: httpx.AsyncClient, name: str) -> None:
    schedule = {"name": "nightly", "cron": "@daily", "task": {"type": "noop", "queue": name}}
    rules = [{"name": "all", "task": {"type": "noop", "queue": name}}]

    assert list(field_errors_of(await api.post("/schedules", json=schedule))) == ["task.queue"]
    assert list(field_errors_of(await api.put("/settings/alerts.rules", json={"value": rules}))) == [
        "value[0].task.queue"
    ]
