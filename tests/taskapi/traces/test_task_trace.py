"""The traces of a task: links to them, and their spans."""

from __future__ import annotations

import httpx
import jsonschema_rs

from harness.http_server import HttpServer, Response
from taskcore.observability.tracing.memory_store import InMemorySpanStore
from taskcore.observability.tracing.provider import Tracing
from taskcore.settings import Settings
from tests.taskapi.api_helpers import Database, mark_running, problem_of, submit, task_body
from tests.taskapi.traces import trace_helpers
from tests.taskapi.traces.trace_helpers import (
    LATER,
    TRACE,
    api_client,
    failed_task_trace,
    mark_traced,
    span_names,
    to_json,
    viewer_settings,
)

PATH = f"/traces/{TRACE}"


async def test_a_task_that_is_not_sampled_has_no_trace(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    answer = (await api.get(f"/tasks/{task_id}")).json()
    problem = problem_of(await api.get(f"/tasks/{task_id}/trace"), 404, "trace_not_recorded")

    assert (answer["trace_id"], answer["trace_url"]) == (None, None)
    assert "tracing.endpoint" in problem["detail"]


async def test_an_unknown_task_has_no_trace(api: httpx.AsyncClient) -> None:
    answer = await api.get("/tasks/4711/trace")

    problem_of(answer, 404, "task_not_found")


async def test_the_response_of_a_submit_has_the_link_to_the_trace(database_url: str) -> None:
    local = InMemorySpanStore()
    tracing = Tracing.start(Settings(), "taskcore-api", extra_processors=[local])

    async with api_client(
        database_url, tracing, local, trace_url_template="http://viewer/{trace_id}?task={task_id}"
    ) as api:
        answer = (await api.post("/tasks", json=task_body())).json()
        again = (await api.get(f"/tasks/{answer['id']}")).json()

    assert len(answer["trace_id"]) == 32
    assert answer["trace_url"] == f"http://viewer/{answer['trace_id']}?task={answer['id']}"
    assert again == answer


async def test_attempts_have_links_and_a_running_one_only_if_it_is_the_first(
    database_url: str, database: Database
) -> None:
    async with api_client(database_url, trace_url_template="http://viewer/{trace_id}") as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        mark_running(database, task_id)
        (first,) = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]
        trace_helpers.add_attempt(database, task_id, 1, TRACE, "00000000000000b1")
        mark_running(database, task_id)
        ended, later = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]

    assert (first["trace_id"], first["trace_url"]) == (TRACE, f"http://viewer/{TRACE}")
    assert ended["trace_id"] == TRACE
    assert (later["attempt"], later["trace_id"], later["trace_url"]) == (2, None, None)


async def test_spans_in_memory_are_shown_without_a_viewer(database_url: str) -> None:
    local = InMemorySpanStore()
    tracing = Tracing.start(Settings(), "taskcore-api", extra_processors=[local])

    async with api_client(database_url, tracing, local) as api:
        task_id = await submit(api)
        answer = await api.get(f"/tasks/{task_id}/trace")

    document = answer.json()
    assert document["source"] == "local"
    assert span_names(answer)[0] == (0, "POST /api/v1/tasks")
    assert (1, "INSERT task") in span_names(answer)
    root = document["traces"][0]["spans"][0]
    assert (root["service"], root["kind"], root["parent_id"]) == ("taskcore-api", "server", None)
    assert root["attributes"]["http.response.status_code"] == 201


async def test_the_response_matches_the_openapi_document(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        http_server.on("GET", PATH, Response(body=to_json({"batches": failed_task_trace(task_id)})))
        answer = await api.get(f"/tasks/{task_id}/trace")
        contract = (await api.get("http://api/openapi.json")).json()

    schema = {"$ref": "#/components/schemas/TaskTrace", "components": contract["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(answer.json())
    assert answer.json().keys() == contract["components"]["schemas"]["TaskTrace"]["properties"].keys()
    assert "/tasks/{task_id}/trace" not in contract["paths"]


async def test_each_later_attempt_adds_a_trace_with_links(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    link = {"traceId": TRACE, "spanId": f"{4:016x}"}
    to_request = {"traceId": TRACE, "spanId": f"{1:016x}"}
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        trace_helpers.add_attempt(database, task_id, 1, TRACE, f"{4:016x}")
        trace_helpers.add_attempt(database, task_id, 2, LATER, f"{9:016x}")
        trace_helpers.add_attempt(database, task_id, 3)
        later = trace_helpers.span(8, None, "relay default", 200, 5, traceId=LATER, links=[to_request, link])
        http_server.on("GET", PATH, Response(body=to_json({"batches": failed_task_trace(task_id)})))
        http_server.on(
            "GET", f"/traces/{LATER}", Response(body=to_json({"batches": trace_helpers.resource_spans(c=[later])}))
        )
        answer = await api.get(f"/tasks/{task_id}/trace")

    first, second = answer.json()["traces"]
    assert (first["trace_id"], first["attempts"], second["trace_id"], second["attempts"]) == (TRACE, [1], LATER, [2])
    assert span_names(answer, 1) == [(0, "relay default")]
    assert [one["attempt"] for one in second["spans"][0]["links"]] == [None, 1]


async def test_without_a_viewer_the_problem_names_the_setting(database_url: str, database: Database) -> None:
    async with api_client(database_url) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert "tracing.query_url" in problem_of(answer, 409, "trace_viewer_not_configured")["detail"]
