"""Reading spans from the trace viewer: the shapes of its responses, and invalid ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from harness.http_server import HttpServer, Response
from taskapi.http.problems import ProblemError
from taskapi.runtime.proxies import proxy_for
from taskapi.runtime.trace_viewer import TraceViewer
from taskcore.settings import TracingSettings
from tests.taskapi.api_helpers import Database, problem_of, submit
from tests.taskapi.traces import trace_helpers
from tests.taskapi.traces.trace_helpers import (
    TRACE,
    api_client,
    failed_task_trace,
    mark_traced,
    span_names,
    to_json,
    viewer_settings,
)

PATH = f"/traces/{TRACE}"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda spans: {"resourceSpans": spans},
        lambda spans: {"result": {"resourceSpans": spans}},
        lambda spans: {"batches": trace_helpers.in_base64(spans)},
        lambda spans: {"trace": {"resourceSpans": trace_helpers.in_base64(spans)}},
    ],
    ids=["plain", "jaeger", "tempo v1", "tempo v2"],
)
async def test_each_shape_of_a_viewers_response_is_decoded(
    database_url: str, database: Database, http_server: HttpServer, wrap: Callable[[Any], Any]
) -> None:
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        http_server.on("GET", PATH, Response(body=to_json(wrap(failed_task_trace(task_id)))))
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert answer.json()["source"] == "viewer"
    assert span_names(answer) == [
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


async def test_a_trace_that_the_viewer_does_not_have_has_no_spans(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert span_names(answer) == []
    assert http_server.requests[0].path == PATH


@pytest.mark.parametrize(
    "answer",
    [
        Response(500, b"sorry"),
        Response(302, b"", {"Location": "/login"}),
        Response(body=b"<html>log in</html>"),
        Response(body=b'{"data": [{"traceID": "1"}]}'),
        Response(body=b"[" * 100_000),
        Response(
            body=to_json(
                {"batches": trace_helpers.resource_spans(x=[trace_helpers.span(1, None, "a", 0, 1, spanId="zz")])}
            )
        ),
        Response(
            body=to_json({"batches": trace_helpers.resource_spans(x=[trace_helpers.span(1, None, "a", -(10**15), 1)])})
        ),
        Response(body=to_json({"batches": [{"scopeSpans": 7}]})),
        Response(body=b" " * (8 * 1024 * 1024 + 1)),
    ],
    ids=["error", "redirect", "page", "other API", "nested", "no id", "no time", "no list", "too large"],
)
async def test_an_invalid_response_of_the_viewer_is_a_503(
    database_url: str, database: Database, http_server: HttpServer, answer: Response
) -> None:
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        http_server.on("GET", PATH, answer)
        refused = await api.get(f"/tasks/{task_id}/trace")

    problem_of(refused, 503, "trace_viewer_unavailable")
    assert refused.headers["retry-after"] == "1"
    assert http_server.url not in refused.text


async def test_an_unreachable_viewer_is_a_503(database_url: str, database: Database) -> None:
    async with api_client(
        database_url, tracing=TracingSettings(query_url="http://u:secret@127.0.0.1:1/{trace_id}")
    ) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        refused = await api.get(f"/tasks/{task_id}/trace")

    assert "secret" not in str(problem_of(refused, 503, "trace_viewer_unavailable"))


async def test_attributes_of_any_type_are_returned(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
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
    event = {"name": "retried", "timeUnixNano": trace_helpers.BEGIN_NS, "attributes": attributes[:1]}
    odd = trace_helpers.span(1, None, "odd", 0, 1, kind=77, attributes=attributes, events=[event], status={})
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        http_server.on("GET", PATH, Response(body=to_json({"resourceSpans": trace_helpers.resource_spans(x=[odd])})))
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


async def test_only_the_traces_of_the_newest_attempts_are_read(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        for attempt in range(1, 14):
            trace_helpers.add_attempt(database, task_id, attempt, TRACE if attempt == 1 else f"{attempt:032x}")
        database.execute("UPDATE task SET attempt = 13 WHERE id = %s", [task_id])
        answer = await api.get(f"/tasks/{task_id}/trace")

    assert [trace["attempts"] for trace in answer.json()["traces"]] == [[1], *([n] for n in range(4, 14))]
    assert len(http_server.requests) == 11


async def test_a_silent_viewer_times_out(http_server: HttpServer) -> None:
    released = threading.Event()
    http_server.on("GET", PATH, lambda _: Response() if released.wait() else Response(500))
    asked = TraceViewer(f"{http_server.url}/traces/{{trace_id}}", timeout_s=0.2)

    with pytest.raises(ProblemError) as refused:
        await asked.find_spans([TRACE])

    released.set()
    await asked.close()
    assert refused.value.problem.detail == "The trace viewer did not respond within 0.2 s."


async def test_spans_of_other_services_are_shown_only_if_a_setting_says_so(
    database_url: str, database: Database, http_server: HttpServer
) -> None:
    for shows_others, expected in ((False, {"taskapi", "worker"}), (True, {"taskapi", "worker", "shop"})):
        settings = viewer_settings(http_server).model_copy(update={"shows_other_services": shows_others})
        async with api_client(database_url, tracing=settings) as api:
            task_id = await submit(api)
            mark_traced(database, task_id)
            foreign = trace_helpers.resource_spans("shop", shop=[trace_helpers.span(9, None, "checkout", 0, 99)])
            spans = [*foreign, *failed_task_trace(task_id)]
            http_server.on("GET", PATH, Response(body=to_json({"batches": spans})))
            answer = (await api.get(f"/tasks/{task_id}/trace")).json()

        assert {span["service"] for span in answer["traces"][0]["spans"]} == expected
        assert answer["traces"][0]["spans_omitted"] == 0


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"NO_PROXY": "10.0.0.0/8,.svc,fd00::/8,[::1],127.0.0.0/8", "ALL_PROXY": "http://127.0.0.1:1"}, None),
        ({"no_proxy": "*", "http_proxy": "http://127.0.0.1:1"}, None),
        ({"ALL_PROXY": "socks5://user:hunter2@127.0.0.1:1"}, "the proxy that the API's environment names"),
        ({"http_proxy": "gopher://user:hunter2@127.0.0.1:1"}, "the proxy that the API's environment names"),
        ({"http_proxy": "http://user:hunter2@127.0.0.1:1"}, "could not be reached"),
        ({"SSL_CERT_FILE": "/nowhere"}, "SSL_CERT_FILE"),
    ],
)
async def test_the_environment_keeps_neither_the_api_from_starting_nor_the_reason_from_the_caller(
    database_url: str,
    database: Database,
    http_server: HttpServer,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    reason: str | None,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async with api_client(database_url, tracing=viewer_settings(http_server)) as api:
        task_id = await submit(api)
        mark_traced(database, task_id)
        answer = await api.get(f"/tasks/{task_id}/trace")

    if reason is None:
        assert answer.status_code == 200
    else:
        detail = problem_of(answer, 503, "trace_viewer_unavailable")["detail"]
        assert reason in detail
        assert "hunter2" not in detail


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://jaeger.svc/{trace_id}", None),
        ("http://tempo.lan/", None),
        ("http://10.1.2.3/", None),
        ("http://[fd00::7]:3200/", None),
        ("http://[::1]/", None),
        ("http://example.com/", "http://proxy:3128"),
        ("https://example.com/", "http://secure"),
        ("http://11.1.2.3/", "http://proxy:3128"),
    ],
)
def test_the_proxy_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, url: str, proxy: str | None) -> None:
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8, .svc, *.lan, fd00::/8, [::1]")
    monkeypatch.setenv("ALL_PROXY", "proxy:3128")
    monkeypatch.setenv("HTTPS_PROXY", "http://secure")

    assert proxy_for(url) == proxy
