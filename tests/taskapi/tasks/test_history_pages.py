"""Pages of the history and the attempts of a task, which are as long as callers make them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.taskapi.api_helpers import Database, mark_running, problem_of, submit


async def read_pages(api: httpx.AsyncClient, path: str, limit: int) -> list[list[dict[str, Any]]]:
    pages: list[list[dict[str, Any]]] = []
    after: int | None = 0
    while after is not None:
        page = (await api.get(path, params={"limit": limit, "after": after})).json()
        pages.append(page["items"])
        after = page["next_after"]
    return pages


@pytest.mark.parametrize(("limit", "sizes"), [(2, [2, 2, 1]), (5, [5]), (1_000, [5])])
async def test_pages_of_the_history_have_each_transition_once(
    api: httpx.AsyncClient, limit: int, sizes: list[int]
) -> None:
    task_id = await submit(api)
    for action in ("pause", "resume", "pause", "resume"):
        await api.post(f"/tasks/{task_id}/{action}")

    pages = await read_pages(api, f"/tasks/{task_id}/history", limit)

    assert [len(page) for page in pages] == sizes
    assert [one["to_status"] for page in pages for one in page] == ["queued", *["paused", "queued"] * 2]


@pytest.mark.parametrize(("limit", "sizes"), [(2, [2, 2]), (3, [3, 1]), (4, [4])])
async def test_pages_of_the_attempts_end_with_the_running_one(
    api: httpx.AsyncClient, database: Database, limit: int, sizes: list[int]
) -> None:
    task_id = await submit(api)
    database.execute(
        "INSERT INTO task_attempt (task_id, attempt, worker_id, started_at, finished_at, outcome)"
        " SELECT %s, n, 7, now(), now(), 'failed' FROM generate_series(1, 3) n",
        [task_id],
    )
    database.execute("UPDATE task SET attempt = 3 WHERE id = %s", [task_id])
    mark_running(database, task_id)

    pages = await read_pages(api, f"/tasks/{task_id}/attempts", limit)

    assert [len(page) for page in pages] == sizes
    assert [one["attempt"] for page in pages for one in page] == [1, 2, 3, 4]
    assert [one["outcome"] for page in pages for one in page] == ["failed"] * 3 + [None]


async def test_a_position_beyond_the_end_is_an_empty_page_but_an_unknown_task_is_a_404(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    for path in ("history", "attempts"):
        page = (await api.get(f"/tasks/{task_id}/{path}", params={"after": 2**63 - 1})).json()
        assert page == {"items": [], "next_after": None}
        problem_of(await api.get(f"/tasks/999/{path}"), 404, "task_not_found")
