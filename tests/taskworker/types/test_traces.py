"""What a plugin calls is seen in its task's trace, without the values; and nothing is where nothing is followed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import httpcore
import psycopg
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from psycopg.sql import SQL, Literal

from harness.ports import free_port
from harness.span_recorder import SpanRecorder, attributes, traceparent
from taskcore.observability.tracing.http_spans import redact_url
from taskcore.plugins import Fail, TaskContext
from taskworker.types.command.run_command import CommandFailed, RunCommand
from taskworker.types.email.send_email import SendEmail
from taskworker.types.http.http_request import HttpRequest
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.contexts import loopback_context, make_context, run
from tests.taskworker.types.databases import database_context
from tests.taskworker.types.http_server import HttpServer, Reply
from tests.taskworker.types.smtp_server import Inbox

Following = Callable[[TaskContext], TaskContext]


@pytest.fixture
def following(traced: SpanRecorder) -> Following:
    return lambda ctx: replace(ctx, tracer=traced.tracer)


def test_each_statement_is_a_call(empty_database_url: str, traced: SpanRecorder, following: Following) -> None:
    ctx = following(database_context(empty_database_url))

    with traced.run() as span, ctx.database("default") as connection:
        connection.execute("/* who */ select %s", ["hush"])
        connection.cursor().executemany("SELECT %s", [(1,), (2,)])
        assert list(connection.cursor().stream("SELECT generate_series(1, 3)")) == [(1,), (2,), (3,)]
        connection.execute(SQL("VALUES ({})").format(Literal("hush")))

    info = psycopg.conninfo.conninfo_to_dict(empty_database_url)
    assert [attributes(call)["db.operation.name"] for call in traced.spans] == ["SELECT", "SELECT", "SELECT", "VALUES"]
    assert [attributes(call).get("db.query.text") for call in traced.spans] == [
        "/* who */ select %s",
        "SELECT %s",
        None,
        None,
    ]
    assert all(call.kind is SpanKind.CLIENT and call.parent == span.get_span_context() for call in traced.spans)
    assert {call.name for call in traced.spans} == {f"SELECT {info['dbname']}", f"VALUES {info['dbname']}"}
    assert attributes(traced.spans[0])["db.system.name"] == "postgresql"
    assert "hush" not in "".join(call.to_json() for call in traced.spans)


def test_a_statement_that_fails_says_its_sqlstate_and_no_values(
    empty_database_url: str, traced: SpanRecorder, following: Following
) -> None:
    ctx = following(database_context(empty_database_url))

    with traced.run(), pytest.raises(psycopg.DataError), ctx.database("default") as connection:
        connection.execute("SELECT %s::text::int", ["hush"])

    assert attributes(traced.only_span)["error.type"] == "22P02"
    assert traced.only_span.status.status_code is StatusCode.ERROR
    assert "hush" not in traced.only_span.to_json()


def test_a_query_is_one_call_whether_it_runs_or_is_refused(
    empty_database_url: str, traced: SpanRecorder, following: Following
) -> None:
    ctx = following(database_context(empty_database_url))

    with traced.run():
        run(RunQuery, ctx, query="SELECT n FROM generate_series(1, %s) AS n", arguments=[3])
        refused = run(RunQuery, ctx, query="SELECT nothing_like_that")

    assert isinstance(refused, Fail)
    good, bad = traced.spans
    assert attributes(good)["db.query.text"] == "SELECT n FROM generate_series(1, $1) AS n"
    assert "db.query.text" not in attributes(bad)
    assert attributes(bad)["error.type"] == "42703"


def test_each_request_is_a_call_and_carries_its_own_context(
    site: HttpServer, traced: SpanRecorder, following: Following
) -> None:
    site.replies["/old?api_key=hush"] = Reply(302, {"Location": "/new"})
    site.replies["/new"] = Reply(404)
    ctx = following(loopback_context())

    with traced.run() as span:
        run(HttpRequest, ctx, url=site.url.replace("//", "//me:hush@") + "/old?api_key=hush")

    first, second = traced.spans
    assert [request.headers["traceparent"] for request in site.requests] == [traceparent(first), traceparent(second)]
    assert all(call.parent == span.get_span_context() for call in traced.spans)
    assert attributes(first) == {
        "http.request.method": "GET",
        "url.full": f"{site.url}/old?api_key=REDACTED",
        "server.address": "localhost",
        "server.port": site.port,
        "http.response.status_code": 302,
    }
    assert (second.name, attributes(second)["error.type"], second.status.status_code) == (
        "GET",
        "404",
        StatusCode.ERROR,
    )


def test_a_context_that_the_task_brings_itself_goes_out_as_it_is(
    site: HttpServer, traced: SpanRecorder, following: Following
) -> None:
    own = "00-5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e-5eed5eed5eed5eed-01"

    with traced.run():
        run(HttpRequest, following(loopback_context()), url=site.url, headers={"TraceParent": own})

    assert [request.headers["TraceParent"] for request in site.requests] == [own]


def test_a_request_without_an_answer_says_why(traced: SpanRecorder, following: Following) -> None:
    ctx = following(loopback_context())

    with traced.run(), pytest.raises(httpcore.ConnectError), ctx.http() as client:
        client.get(f"http://127.0.0.1:{free_port()}/")

    assert attributes(traced.only_span)["error.type"] == "ConnectError"


def test_what_is_not_followed_makes_no_spans_and_sends_no_context(site: HttpServer, empty_database_url: str) -> None:
    unused = SpanRecorder()
    ctx = replace(loopback_context(), tracer=unused.tracer)

    run(HttpRequest, ctx, url=site.url)
    run(RunQuery, replace(database_context(empty_database_url), tracer=unused.tracer), query="SELECT 1")

    assert unused.spans == []
    assert "traceparent" not in {name.lower() for name in site.requests[0].headers}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://me:hush@[::1]:8443/a?b=c#hush", "https://[::1]:8443/a?b=c"),
        ("http://a/?X-Amz-Signature=hush&page=2", "http://a/?X-Amz-Signature=REDACTED&page=2"),
        ("http://a/?access%5Ftoken=hush&&flag", "http://a/?access%5Ftoken=REDACTED&&flag"),
    ],
)
def test_a_url_is_shown_without_what_sounds_secret(url: str, expected: str) -> None:
    assert redact_url(url) == expected


def test_a_message_is_a_call_that_names_nobody(inbox: Inbox, traced: SpanRecorder, following: Following) -> None:
    ctx = following(make_context(smtp={"host": "127.0.0.1", "port": inbox.port}))
    inbox.refusals["b@example.org"] = "550 unknown"

    with traced.run():
        run(SendEmail, ctx, to=["a@example.org", "b@example.org"], subject="s", body="b")

    assert traced.only_span.name == "SMTP send"
    assert attributes(traced.only_span) == {
        "server.address": "127.0.0.1",
        "server.port": inbox.port,
        "taskcore.email.recipients": 2,
        "taskcore.email.recipients_refused": 1,
    }


def test_a_message_that_is_refused_says_the_code(inbox: Inbox, traced: SpanRecorder, following: Following) -> None:
    ctx = following(make_context(smtp={"host": "127.0.0.1", "port": inbox.port}))
    inbox.data_reply = "554 no"

    with traced.run():
        run(SendEmail, ctx, to=["a@example.org"], subject="s", body="b")

    assert attributes(traced.only_span)["error.type"] == "554"
    assert "example.org" not in traced.only_span.to_json()


def test_a_command_gets_the_context_and_its_arguments_stay_out(traced: SpanRecorder, following: Following) -> None:
    program = "import os, sys; print(os.environ['TRACEPARENT']); sys.exit(len(sys.argv))"
    argv = [sys.executable, "-c", program]
    ctx = following(make_context(commands={"it": {"argv": argv, "max_arguments": 1}}))

    with traced.run(), pytest.raises(CommandFailed) as caught:
        run(RunCommand, ctx, command="it", arguments=["hush"])

    assert traceparent(traced.only_span) in str(caught.value)
    assert attributes(traced.only_span)["process.exit.code"] == 2
    assert attributes(traced.only_span)["error.type"] == "2"
    assert "hush" not in traced.only_span.to_json()


def test_a_command_that_is_not_followed_gets_no_context() -> None:
    argv = [sys.executable, "-c", "import os; print('TRACEPARENT' in os.environ)"]

    result = run(RunCommand, make_context(commands={"it": {"argv": argv}}), command="it")

    assert result["output"].strip() == "False"
