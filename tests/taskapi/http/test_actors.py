"""The header `X-Taskcore-User`: the user is recorded with every change."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import Database, field_errors_of, mark_finished, mark_running, submit, task_body

ANN = {"X-Taskcore-User": "ann"}
BOB = {"X-Taskcore-User": "bob@example.com (on call)"}


async def actors(api: httpx.AsyncClient, task_id: int) -> list[str]:
    """Return the actor of each history entry."""
    return [step["actor"] for step in (await api.get(f"/tasks/{task_id}/history")).json()["items"]]


async def test_the_first_history_entry_has_the_submitter(api: httpx.AsyncClient) -> None:
    alone = (await api.post("/tasks", json=task_body(), headers=ANN)).json()["id"]
    nobody = (await api.post("/tasks", json=task_body())).json()["id"]
    child = (await api.post("/tasks", json=task_body(depends_on=[alone]), headers=BOB)).json()["id"]

    assert await actors(api, alone) == ["user:ann"]
    assert await actors(api, nobody) == ["api"]
    assert await actors(api, child) == ["user:bob@example.com (on call)"]


@pytest.mark.parametrize("key", [None, "a-key"])
async def test_every_task_of_a_batch_has_the_submitter(api: httpx.AsyncClient, key: str | None) -> None:
    headers = ANN if key is None else {**ANN, "Idempotency-Key": key}
    plain = {"tasks": [task_body(), task_body()]}
    dependent = {"tasks": [task_body(ref="first"), task_body(depends_on=["first"], name="the second")], "atomic": False}

    answers = [(await api.post("/tasks/batch", json=plain, headers=headers)).json()]
    answers.append((await api.post("/tasks/batch", json=dependent, headers=ANN)).json())

    for answer in answers:
        assert [await actors(api, result["id"]) for result in answer["results"]] == [["user:ann"]] * 2


async def test_each_change_has_the_user_who_made_it(api: httpx.AsyncClient, database: Database) -> None:
    task_id = await submit(api)

    for call, headers in (("pause", ANN), ("resume", BOB), ("cancel", ANN), ("retry", BOB)):
        assert (await api.post(f"/tasks/{task_id}/{call}", headers=headers)).status_code == 200
    mark_running(database, task_id)
    await api.post(f"/tasks/{task_id}/cancel", headers=ANN)
    mark_finished(database, task_id, "cancelled")
    await api.delete(f"/tasks/{task_id}", headers=BOB)

    ann, bob = "user:ann", "user:bob@example.com (on call)"
    assert await actors(api, task_id) == ["api", ann, bob, ann, bob, ann, bob]


async def test_a_setting_and_the_pause_of_a_queue_have_the_user(api: httpx.AsyncClient) -> None:
    changed = (await api.put("/settings/log.level", json={"value": "debug"}, headers=ANN)).json()
    paused = (await api.post("/queues/mail/pause", json={"reason": "moving"}, headers=BOB)).json()
    resumed = (await api.post("/queues/mail/resume", headers=ANN)).json()

    assert changed["changed_by"] == "user:ann"
    assert (paused["paused_by"], paused["pause_reason"]) == ("user:bob@example.com (on call)", "moving")
    assert resumed["paused_by"] is None


CHANGES = [
    ("POST", "/tasks", task_body()),
    ("POST", "/tasks/batch", {"tasks": [task_body()]}),
    ("POST", "/tasks/1/retry", None),
    ("PUT", "/settings/log.level", {"value": "debug"}),
    ("POST", "/queues/mail/pause", None),
]


@pytest.mark.parametrize("name", [b"", b"x" * 256, "jürgen".encode(), b" ann"])
async def test_an_invalid_user_name_is_refused(api: httpx.AsyncClient, database: Database, name: bytes) -> None:
    for method, path, body in CHANGES:
        response = await api.request(method, path, json=body, headers=[(b"x-taskcore-user", name)])

        assert list(field_errors_of(response)) == ["X-Taskcore-User"]

    for table in ("task", "setting", "queue"):
        assert database.execute(f"SELECT 1 FROM {table}").fetchall() == []
