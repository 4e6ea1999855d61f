"""Pausing and resuming queues."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import field_errors_of, problem_of, submit


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


@pytest.mark.parametrize("name", ["no spaces", "n%0A", "x" * 256, "%00"])
async def test_an_invalid_queue_name_is_refused(api: httpx.AsyncClient, name: str) -> None:
    for call in ("pause", "resume"):
        assert list(field_errors_of(await api.post(f"/queues/{name}/{call}"))) == ["name"]
