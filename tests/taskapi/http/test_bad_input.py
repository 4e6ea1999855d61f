"""Invalid requests: each is a 4xx problem that names the field, and stores nothing."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.taskapi.api_helpers import Database, count_stored, field_errors_of, problem_of, task_body

JSON = {"Content-Type": "application/json"}


async def post(api: httpx.AsyncClient, body: bytes, path: str = "/tasks") -> httpx.Response:
    return await api.post(path, content=body, headers=JSON)


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": "x" * 300}, "name"),
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "nul \0"}, "name"),
        ({"description": "nul \0"}, "description"),
        ({"description": "x" * 5001}, "description"),
        ({"type": "no spaces"}, "type"),
        ({"type": "noop\n"}, "type"),
        ({"queue": ""}, "queue"),
        ({"queue": "q\n"}, "queue"),
        ({"queue": "amq.mine"}, "queue"),
        ({"queue": "worker.7"}, "queue"),
        ({"priority": 101}, "priority"),
        ({"priority": 1.5}, "priority"),
        ({"priority": 2**70}, "priority"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": 1e9}, "timeout"),
        ({"timeout": "soon"}, "timeout"),
        ({"delete_after": -1}, "delete_after"),
        ({"delete_after": 1e300}, "delete_after"),
        ({"run_at": "2030-01-01T00:00:00"}, "run_at"),
        ({"run_at": "tomorrow"}, "run_at"),
        ({"run_at": "0001-01-01T00:00:00Z"}, "run_at"),
        ({"run_at": "9999-12-31T23:59:59-10:00"}, "run_at"),
        ({"labels": {"": "v"}}, "labels"),
        ({"labels": {"k": 1}}, "labels"),
        ({"labels": {"k": "v" * 256}}, "labels"),
        ({"labels": {"k": "nul \0"}}, "labels.k"),
        ({"labels": {str(n): "" for n in range(33)}}, "labels"),
        ({"parameters": []}, "parameters"),
        ({"parameters": {"a": {"b": ["nul \0"]}}}, "parameters.a.b[0]"),
        ({"parameters": {"nul \0": 1}}, "parameters"),
        ({"parameters": {"n": 2**63}}, "parameters.n"),
        ({"parameters": {"n": [-(2**63) - 1]}}, "parameters.n[0]"),
        ({"parameters": {"s": "x" * 65_537}}, "parameters.s"),
        ({"no_such_member": 1}, "no_such_member"),
    ],
)
async def test_an_invalid_member_is_named(
    api: httpx.AsyncClient, database: Database, members: dict[str, Any], field: str
) -> None:
    alone = await api.post("/tasks", json=task_body(**members))
    in_batch = await api.post("/tasks/batch", json={"tasks": [task_body(), task_body(**members)]})

    assert list(field_errors_of(alone)) == [field]
    assert list(field_errors_of(in_batch)) == [f"tasks[1].{field}"]
    assert count_stored(database) == 0


async def test_a_missing_member_is_named(api: httpx.AsyncClient) -> None:
    assert "name" in field_errors_of(await api.post("/tasks", json={"type": "noop"}))
    assert "tasks[0].type" in field_errors_of(await api.post("/tasks/batch", json={"tasks": [{"name": "a"}]}))
    assert "tasks" in field_errors_of(await api.post("/tasks/batch", json={}))


@pytest.mark.parametrize(
    ("value", "status", "field"),
    [
        (b'"\\ud800"', 422, "parameters.a"),
        (b'["x", {"b": "\\udc00 y"}]', 422, "parameters.a[1].b"),
        (b'{"\\ud800": 1}', 422, "parameters.a"),
        (b"9" * 5000, 422, "parameters.a"),
        (b"1e400", 422, "parameters.a"),
        (b"[" * 10_000 + b"]" * 10_000, 422, "parameters.a"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 422, "parameters.a.a"),
        (b"[" * 65 + b"]" * 65, 422, "parameters.a"),
        (b"NaN", 400, "parameters.a"),
        (b"[1, -Infinity]", 400, "parameters.a[1]"),
        (b'"\xff"', 400, "parameters.a"),
        (b'"\xed\xa0\x80"', 400, "parameters.a"),
        (b"[1, 2,]", 400, "parameters.a"),
        (b'"not closed', 400, "parameters.a"),
        (b"01", 400, "parameters.a"),
    ],
)
async def test_the_position_of_a_decoding_error_is_named(
    api: httpx.AsyncClient, database: Database, value: bytes, status: int, field: str
) -> None:
    body = b'{"name": "a", "type": "noop", "labels": {"k": "v"}, "parameters": {"z": [1, {}], "a": ' + value + b"}}"

    alone = await post(api, body)
    in_batch = await post(api, b'{"tasks": [{"name": "b", "type": "noop"}, ' + body + b"]}", "/tasks/batch")

    (found,) = field_errors_of(alone, status)
    (found_in_batch,) = field_errors_of(in_batch, status)
    assert found.startswith(field)
    assert found_in_batch.startswith("tasks[1].parameters")
    assert count_stored(database) == 0


@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xef\xbb\xbf{}", b"\0", b"{,}"])
async def test_a_body_that_is_not_json_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/tasks", "/tasks/batch"):
        problem_of(await post(api, body, path), 400, "malformed_json")


async def test_a_body_with_trailing_characters_is_refused(api: httpx.AsyncClient) -> None:
    problem_of(await post(api, json.dumps(task_body()).encode() + b" x"), 400, "malformed_json")


@pytest.mark.parametrize("body", [b"[]", b"null", b"1", b'"text"'])
async def test_a_body_that_is_not_an_object_is_refused(api: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/tasks", "/tasks/batch"):
        assert list(field_errors_of(await post(api, body, path))) == ["body"]


async def test_a_body_of_another_media_type_is_refused(api: httpx.AsyncClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = await api.post("/tasks", content=b"name=a", headers={"Content-Type": kind})

        problem_of(response, 415, "unsupported_media_type")


async def test_a_task_of_two_megabytes_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    large = task_body(parameters={str(n): "x" * 60_000 for n in range(35)})

    assert list(field_errors_of(await api.post("/tasks", json=large), 413)) == ["body"]
    assert list(field_errors_of(await api.post("/tasks/batch", json={"tasks": [task_body(), large]}), 413)) == [
        "tasks[1]"
    ]
    assert count_stored(database) == 0


async def test_a_batch_of_more_than_32_mebibytes_is_refused(api: httpx.AsyncClient) -> None:
    body = json.dumps({"tasks": [task_body(description="x" * 5000)] * 7000}).encode()

    assert list(field_errors_of(await post(api, body, "/tasks/batch"), 413)) == ["body"]


async def test_an_empty_and_a_too_long_batch_are_refused(api: httpx.AsyncClient) -> None:
    for tasks in ([], [task_body()] * 10_001):
        assert list(field_errors_of(await api.post("/tasks/batch", json={"tasks": tasks}))) == ["tasks"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=1000000", "limit"),
        ("limit=many", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("offset=null", "offset"),
        ("offset=1&offset=2", "offset"),
        ("q=a&q=b", "q"),
        ("offset=100001", "offset"),
        ("cursor=garbage", "cursor"),
        ("cursor=", "cursor"),
        ("cursor=MA", "cursor"),
        ("cursor=%C3%A9", "cursor"),
        ("cursor=OTIyMzM3MjAzNjg1NDc3NTgwOA", "cursor"),
        ("cursor=MTA&offset=5", "offset"),
        ("status=done", "status"),
        ("status=queued&status=", "status"),
        ("label=novalue", "label"),
        ("label=%3Dv", "label"),
        ("q=%00", "q"),
        ("type=a%00b", "type"),
        ("created_after=yesterday", "created_after"),
        ("created_after=2026-01-01T00:00:00", "created_after"),
        ("created_before=0", "created_before"),
        ("created_after=0001-01-01T00:00:00%2B23:59", "created_after"),
        ("stauts=queued", "stauts"),
        ("a%00b=1", "a\0b"),
    ],
)
async def test_an_invalid_query_is_refused(api: httpx.AsyncClient, query: str, field: str) -> None:
    assert list(field_errors_of(await api.get(f"/tasks?{query}"))) == [field]


@pytest.mark.parametrize("call", ["", "/history", "/attempts", "/wait"])
async def test_an_invalid_id_is_not_a_server_error(api: httpx.AsyncClient, call: str) -> None:
    problem_of(await api.get(f"/tasks/1{call}"), 404, "task_not_found")
    problem_of(await api.get(f"/tasks/{2**63 - 1}{call}"), 404, "task_not_found")
    problem_of(await api.get(f"/tasks/abc{call}"), 404, "not_found")
    problem_of(await api.get(f"/tasks/%00{call}"), 404, "not_found")
    problem_of(await api.get(f"/tasks/{'9' * 5000}{call}"), 404, "not_found")
    for beyond in (2**63, 0, -1):
        assert list(field_errors_of(await api.get(f"/tasks/{beyond}{call}"))) == ["task_id"]


async def test_an_invalid_timeout_is_refused(api: httpx.AsyncClient) -> None:
    for timeout in ("61", "-1", "nan", "inf", "soon"):
        assert list(field_errors_of(await api.get(f"/tasks/1/wait?timeout={timeout}"))) == ["timeout"]


async def test_an_invalid_idempotency_key_is_refused(api: httpx.AsyncClient, database: Database) -> None:
    for key in (b"", b"x" * 256, b"\xc3\xa9", b"tab\there"):
        response = await api.post("/tasks", json=task_body(), headers={b"Idempotency-Key": key})

        assert list(field_errors_of(response)) == ["Idempotency-Key"]
    assert count_stored(database) == 0


async def test_an_unknown_path_or_method_is_a_problem(api: httpx.AsyncClient) -> None:
    problem_of(await api.get("/nothing"), 404, "not_found")
    problem_of(await api.get("http://api/nothing"), 404, "not_found")
    response = await api.put("/tasks", json={})
    problem_of(response, 405, "method_not_allowed")
    assert "POST" in response.headers["allow"]


async def test_a_utc_offset_that_the_database_does_not_accept_is_accepted(api: httpx.AsyncClient) -> None:
    response = await api.post("/tasks", json=task_body(run_at="2030-01-01T23:59:00+23:59"))

    assert response.status_code == 201
    assert response.json()["run_at"] == "2030-01-01T00:00:00Z"
    for bound in ("created_before", "created_after"):
        found = await api.get(f"/tasks?{bound}=2030-01-01T00:00:00-23:59")
        assert (found.status_code, found.json()["total"]) == (200, 1 if bound == "created_before" else 0)
