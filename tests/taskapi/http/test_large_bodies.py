"""Large bodies: valid, malformed, or made to become many objects."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable

import httpx
import pytest

from taskapi.http.json_errors import json_error
from taskapi.http.json_values import has_more_values
from taskapi.http.off_loop import INLINE_BYTES, off_loop
from tests.taskapi.api_helpers import Database, count_stored, field_errors_of, problem_of, task_body

JSON = {"Content-Type": "application/json"}


async def test_work_on_large_bodies_leaves_the_event_loop_to_others() -> None:
    small = await off_loop(INLINE_BYTES, threading.current_thread)
    large = await off_loop(INLINE_BYTES + 1, threading.current_thread)

    assert small is threading.current_thread()
    assert large is not small


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"[1]", 1),
        (b"[1,[],{}]", 5),
        (b'{"a": 1, "b": [2, 3]}', 4),
        (b'["a, b", "[{", "\\", ","", ","]', 5),
        (b'["' + b"," * 5_000 + b'"]', 1),
        (b"[" + b'",",' * 5_000 + b"0]", 5_001),
        (b'["not closed, ', 2),
    ],
)
def test_values_are_counted_outside_of_strings(text: bytes, values: int) -> None:
    assert has_more_values(text, values)
    assert not has_more_values(text, values + 1)


@pytest.mark.parametrize(
    "scan", [lambda text: has_more_values(text, 2), lambda text: json_error(text, ValueError())], ids=["count", "find"]
)
def test_a_string_of_escapes_takes_no_more_memory_than_others(scan: Callable[[bytes], object]) -> None:
    text = b'[0,0,"' + b"\\\\" * 200_000 + b'"]'

    tracemalloc.start()
    scan(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 10 * len(text)


@pytest.mark.parametrize(
    "parameters",
    [b'{"a": [' + b"0," * 120_000 + b"0]}", b'{"a": [' + b"{}," * 110_000 + b"[]]}", b'{"a": ' + b"[" * 200_000],
)
async def test_a_task_of_many_values_is_refused_before_it_takes_memory(
    api: httpx.AsyncClient, database: Database, parameters: bytes
) -> None:
    task = b'{"name": "a", "type": "noop", "parameters": ' + parameters + b"}"

    alone = await api.post("/tasks", content=task, headers=JSON)
    in_batch = await api.post("/tasks/batch", content=b'{"tasks": [' + task + b"]}", headers=JSON)

    for response in (alone, in_batch):
        assert response.status_code in (400, 422)
    assert count_stored(database) == 0


async def test_a_batch_of_many_values_is_refused_before_it_takes_memory(api: httpx.AsyncClient) -> None:
    body = b'{"tasks": [' + b"{}," * 1_000_000 + b"{}]}"

    (message,) = field_errors_of(await api.post("/tasks/batch", content=body, headers=JSON)).values()

    assert message == "has more than 1000000 JSON values"


async def test_a_fault_far_into_a_large_body_is_reported_without_its_path(api: httpx.AsyncClient) -> None:
    body = b'{"tasks": [' + b'{"name": "a", "type": "noop"},' * 25_000 + b"oops]}"

    problem = problem_of(await api.post("/tasks/batch", content=body, headers=JSON), 400, "malformed_json")

    assert problem["errors"] == [{"field": "body", "message": f"is not valid at byte {body.index(b'oops')}"}]


async def test_a_task_of_almost_a_mebibyte_is_stored(api: httpx.AsyncClient) -> None:
    parameters = {str(number): "x" * 60_000 for number in range(17)}

    response = await api.post("/tasks", json=task_body(parameters=parameters))

    assert response.status_code == 201
    assert response.json()["parameters"] == parameters
