"""The traces of a task: links to them, the document, and who is asked for spans."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from taskapi.app import create_app
from taskapi.problems import Refused
from taskapi.traces.viewer import Viewer
from taskcore.settings import Settings, TracingSettings
from taskcore.tracing.local import LocalSpans
from taskcore.tracing.provider import Tracing
from tests.api import traces
from tests.api.asking import Database, refusal, run, submit, task
from tests.api.conftest import ANYTHING, register_type, running
from tests.api.traces import LATER, TRACE, as_json, follow, whole_trace
from tests.support.web import Response, WebServer

PATH = f"/traces/{TRACE}"
Started = Callable[..., Any]


@pytest.fixture
def start(database_url: str) -> Started:
    """Starts an API with these settings, and gives a client of it."""
    register_type(database_url, "noop", ANYTHING)

    @asynccontextmanager
    async def start(own: Tracing | None = None, local: LocalSpans | None = None, **settings: Any) -> Any:
        app = create_app(
            Settings(database_url=database_url, **settings), own or Tracing.start(Settings(), "api"), local=local
        )
        transport = httpx.ASGITransport(app=app)
        async with running(app), httpx.AsyncClient(transport=transport, base_url="http://api/api/v1") as client:
            yield client

    return start


def viewer(server: WebServer) -> TracingSettings:
    return TracingSettings(query_url=f"{server.url}/traces/{{trace_id}}")


def names(answer: httpx.Response, index: int = 0) -> list[tuple[int, str]]:
    """Depth and name of each span of a trace."""
    assert answer.status_code == 200, answer.text
    return [(span["depth"], span["name"]) for span in answer.json()["traces"][index]["spans"]]


async def test_a_task_that_is_not_followed_has_no_trace(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)

    answer = (await api.get(f"/tasks/{task_id}")).json()
    problem = refusal(await api.get(f"/tasks/{task_id}/trace"), 404, "trace_not_recorded")

    assert (answer["trace_id"], answer["trace_url"]) == (None, None)
    assert "tracing.endpoint" in problem["detail"]


async def test_a_task_that_nobody_has_is_none(api: httpx.AsyncClient) -> None:
    answer = await api.get("/tasks/4711/trace")

    refusal(answer, 404, "task_not_found")


async def test_a_submitted_task_carries_its_link_from_the_first_answer_on(start: Started) -> None:
    local = LocalSpans()
    tracing = Tracing.start(Settings(), "taskcore-api", also=[local])

    async with start(tracing, local, trace_url_template="http://viewer/{trace_id}?task={task_id}") as api:
        answer = (await api.post("/tasks", json=task())).json()
        again = (await api.get(f"/tasks/{answer['id']}")).json()

    assert len(answer["trace_id"]) == 32
    assert answer["trace_url"] == f"http://viewer/{answer['trace_id']}?task={answer['id']}"
    assert again == answer


async def test_attempts_carry_links_and_a_running_one_only_if_it_is_the_first(
    start: Started, database: Database
) -> None:
    async with start(trace_url_template="http://viewer/{trace_id}") as api:
        task_id = await submit(api)
        follow(database, task_id)
        run(database, task_id)
        (first,) = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]
        traces.add_attempt(database, task_id, 1, TRACE, "00000000000000b1")
        run(database, task_id)
        ended, later = (await api.get(f"/tasks/{task_id}/attempts")).json()["items"]

    assert (first["trace_id"], first["trace_url"]) == (TRACE, f"http://viewer/{TRACE}")
    assert ended["trace_id"] == TRACE
    assert (later["attempt"], later["trace_id"], later["trace_url"]) == (2, None, None)


async def test_spans_that_this_process_keeps_are_shown_where_no_viewer_is(start: Started) -> None:
    local = LocalSpans()
    tracing = Tracing.start(Settings(), "taskcore-api", also=[local])

    async with start(tracing, local) as api:
        task_id = await submit(api)
        answer = await api.get(f"/tasks/{task_id}/trace")

    document = answer.json()
    assert document["source"] == "local"
    assert names(answer)[0] == (0, "POST /api/v1/tasks")
    assert (1, "INSERT task") in names(answer)
    root = document["traces"][0]["spans"][0]
    assert (root["service"], root["kind"], root["parent_id"]) == ("taskcore-api", "server", None)
    assert root["attributes"]["http.response.status_code"] == 201


@pytest.mark.parametrize(
    "wrap",
    [
        lambda spans: {"resourceSpans": spans},
        lambda spans: {"result": {"resourceSpans": spans}},
        lambda spans: {"batches": traces.in_base64(spans)},
        lambda spans: {"trace": {"resourceSpans": traces.in_base64(spans)}},
    ],
    ids=["plain", "jaeger", "tempo v1", "tempo v2"],
)
async def test_a_viewer_answers_in_any_of_its_shapes(
    start: Started, database: Database, http_server: WebServer, wrap: Callable[[Any], Any]
) -> None:
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        http_server.on("GET", PATH, Response(body=as_json(wrap(whole_trace(task_id)))))
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert answer.json()["source"] == "viewer"
    assert names(answer) == [
        (0, "POST /api/v1/tasks"),
        (1, "INSERT task"),
        (1, "wait in default"),
        (1, "process default"),
        (2, "run noop"),
    ]
    spans = answer.json()["traces"][0]["spans"]
    assert [one["kind"] for one in spans] == ["server", "client", "internal", "consumer", "internal"]
    assert (spans[4]["status"], spans[4]["status_message"]) == ("error", "no <b>luck</b>")
    assert (spans[2]["service"], spans[2]["duration_s"]) == ("worker", 0.046)
    assert spans[3]["attributes"] == {"taskcore.task.id": task_id, "taskcore.task.attempt": 1}


async def test_each_later_attempt_adds_a_trace_that_says_where_it_is_linked_to(
    start: Started, database: Database, http_server: WebServer
) -> None:
    link = {"traceId": TRACE, "spanId": f"{4:016x}"}
    to_request = {"traceId": TRACE, "spanId": f"{1:016x}"}
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        traces.add_attempt(database, task_id, 1, TRACE, f"{4:016x}")
        traces.add_attempt(database, task_id, 2, LATER, f"{9:016x}")
        traces.add_attempt(database, task_id, 3)
        later = traces.span(8, None, "relay default", 200, 5, traceId=LATER, links=[to_request, link])
        http_server.on("GET", PATH, Response(body=as_json({"batches": whole_trace(task_id)})))
        http_server.on("GET", f"/traces/{LATER}", Response(body=as_json({"batches": traces.resource_spans(c=[later])})))
        answer = await api.get(f"/tasks/{task_id}/trace")

    first, second = answer.json()["traces"]
    assert (first["trace_id"], first["attempts"], second["trace_id"], second["attempts"]) == (TRACE, [1], LATER, [2])
    assert names(answer, 1) == [(0, "relay default")]
    assert [one["attempt"] for one in second["spans"][0]["links"]] == [None, 1]


async def test_a_trace_that_the_viewer_does_not_have_has_no_spans(
    start: Started, database: Database, http_server: WebServer
) -> None:
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert names(answer) == []
    assert http_server.requests[0].path == PATH


async def test_without_a_viewer_the_answer_names_the_setting(start: Started, database: Database) -> None:
    async with start() as api:
        task_id = await submit(api)
        follow(database, task_id)
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert "tracing.query_url" in refusal(answer, 409, "trace_viewer_not_configured")["detail"]


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, b"sorry"),
        Response(302, b"", {"Location": "/login"}),
        Response(body=b"<html>log in</html>"),
        Response(body=b'{"data": [{"traceID": "1"}]}'),
        Response(body=b"[" * 100_000),
        Response(body=as_json({"batches": traces.resource_spans(x=[traces.span(1, None, "a", 0, 1, spanId="zz")])})),
        Response(body=as_json({"batches": traces.resource_spans(x=[traces.span(1, None, "a", -(10**15), 1)])})),
        Response(body=as_json({"batches": [{"scopeSpans": 7}]})),
        Response(body=b" " * (8 * 1024 * 1024 + 1)),
    ],
    ids=["error", "redirect", "page", "other API", "nested", "no id", "no time", "no list", "too large"],
)
async def test_a_viewer_that_answers_rubbish_is_not_our_fault(
    start: Started, database: Database, http_server: WebServer, answer: Response
) -> None:
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        http_server.on("GET", PATH, answer)
        refused = await api.get(f"/tasks/{task_id}/trace")

    refusal(refused, 503, "trace_viewer_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert http_server.url not in refused.text


async def test_a_viewer_that_nobody_answers_at_is_not_our_fault(start: Started, database: Database) -> None:
    async with start(tracing=TracingSettings(query_url="http://u:secret@127.0.0.1:1/{trace_id}")) as api:
        task_id = await submit(api)
        follow(database, task_id)
        refused = await api.get(f"/tasks/{task_id}/trace")

    assert "secret" not in str(refusal(refused, 503, "trace_viewer_unavailable"))


async def test_attributes_of_any_kind_come_through(start: Started, database: Database, http_server: WebServer) -> None:
    values = {
        "text": {"stringValue": "\u2028"},
        "large": {"intValue": "98765432109876543210"},
        "yes": {"boolValue": True},
        "half": {"doubleValue": 0.5},
        "nan": {"doubleValue": "NaN"},
        "list": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 2}]}},
        "map": {"kvlistValue": {"values": [{"key": "k", "value": {"bytesValue": "AQI="}}]}},
        "nothing": {},
    }
    attributes = [{"key": name, "value": value} for name, value in values.items()]
    event = {"name": "retried", "timeUnixNano": traces.BEGIN_NS, "attributes": attributes[:1]}
    odd = traces.span(1, None, "odd", 0, 1, kind=77, attributes=attributes, events=[event], status={})
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        http_server.on("GET", PATH, Response(body=as_json({"resourceSpans": traces.resource_spans(x=[odd])})))
        answer = await api.get(f"/tasks/{task_id}/trace")

    (span,) = answer.json()["traces"][0]["spans"]
    assert span["attributes"] == {
        "text": "\u2028",
        "large": "98765432109876543210",
        "yes": True,
        "half": 0.5,
        "nan": "NaN",
        "list": ["a", 2],
        "map": {"k": "AQI="},
        "nothing": None,
    }
    assert (span["kind"], span["status"], span["events"][0]["name"]) == ("internal", "unset", "retried")


async def test_only_the_newest_attempts_are_asked_for(
    start: Started, database: Database, http_server: WebServer
) -> None:
    async with start(tracing=viewer(http_server)) as api:
        task_id = await submit(api)
        follow(database, task_id)
        for attempt in range(1, 14):
            traces.add_attempt(database, task_id, attempt, TRACE if attempt == 1 else f"{attempt:032x}")
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert [trace["attempts"] for trace in answer.json()["traces"]] == [[1], *([n] for n in range(4, 14))]
    assert len(http_server.requests) == 11


async def test_a_viewer_that_does_not_answer_is_given_up(http_server: WebServer) -> None:
    released = threading.Event()
    http_server.on("GET", PATH, lambda _: Response() if released.wait() else Response(500))
    asked = Viewer(f"{http_server.url}/traces/{{trace_id}}", timeout_s=0.2)

    with pytest.raises(Refused) as refused:
        await asked.find([TRACE])

    released.set()
    await asked.close()
    assert refused.value.problem.detail == "It did not answer within 0.2 s."
