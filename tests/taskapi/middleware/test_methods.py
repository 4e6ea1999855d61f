"""HEAD and OPTIONS, which no handler knows of."""

from __future__ import annotations

import httpx
import pytest

from tests.taskapi.api_helpers import problem_of, submit


@pytest.mark.parametrize("path", ["/", "/openapi.json", "/api/v1/tasks", "/api/v1/queues"])
async def test_head_returns_what_get_returns_without_the_body(api: httpx.AsyncClient, path: str) -> None:
    head, get = await api.head(f"http://api{path}"), await api.get(f"http://api{path}")

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_head_of_something_that_is_not_there_is_a_404(api: httpx.AsyncClient) -> None:
    assert (await api.head("/tasks/999")).status_code == 404


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/tasks", "GET, HEAD, OPTIONS, POST"),
        ("/tasks/{id}", "DELETE, GET, HEAD, OPTIONS"),
        ("/tasks/{id}/cancel", "OPTIONS, POST"),
        ("/schedules/1", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("/settings/log.level", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("http://api/", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_and_a_wrong_method_name_every_method_of_the_path(
    api: httpx.AsyncClient, path: str, methods: str
) -> None:
    url = path.format(id=await submit(api))

    options, wrong = await api.options(url), await api.request("TRACE", url)

    assert (options.status_code, options.content, options.headers["allow"]) == (204, b"", methods)
    problem_of(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == methods


async def test_options_of_an_unknown_path_is_a_404(api: httpx.AsyncClient) -> None:
    assert (await api.options("http://api/nothing")).status_code == 404
