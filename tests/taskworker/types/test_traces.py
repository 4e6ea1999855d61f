"""Spans of the calls that the shipped task types make: they hold no values, and there are none without sampling."""

from __future__ import annotations

import sys

import httpcore
import psycopg
import pytest
from opentelemetry.trace import SpanKind, StatusCode
from psycopg.sql import SQL, Literal

from harness.ports import free_port
from harness.span_recorder import SpanRecorder, attributes, traceparent
from taskcore.observability.tracing.http_spans import redact_url
from taskcore.plugins import Fail
from taskworker.types.command.run_command import CommandFailed, RunCommand
from taskworker.types.email.send_email import SendEmail
from taskworker.types.http.http_request import HttpRequest
from taskworker.types.query.run_query import RunQuery
from tests.taskworker.types.environments import database_environment, loopback_environment, make_environment
from tests.taskworker.types.http_server import HttpServer, Reply
from tests.taskworker.types.smtp_server import Inbox


def test_each_statement_has_a_span(empty_database_url: str, traced: SpanRecorder) -> None:
    env = database_environment(empty_database_url, tracer=traced.tracer)

    with traced.run() as span, env.context.database("default") as connection:
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


def test_span_of_a_failed_statement_has_the_sqlstate(empty_database_url: str, traced: SpanRecorder) -> None:
    env = database_environment(empty_database_url, tracer=traced.tracer)

    with traced.run(), pytest.raises(psycopg.DataError), env.context.database("default") as connection:
        connection.execute("SELECT %s::text::int", ["hush"])

    assert attributes(traced.only_span)["error.type"] == "22P02"
    assert traced.only_span.status.status_code is StatusCode.ERROR
    assert "hush" not in traced.only_span.to_json()


def test_query_has_one_span_whether_it_succeeds_or_fails(empty_database_url: str, traced: SpanRecorder) -> None:
    env = database_environment(empty_database_url, tracer=traced.tracer)

    with traced.run():
        env.run(RunQuery, query="SELECT n FROM generate_series(1, %s) AS n", arguments=[3])
        refused = env.run(RunQuery, query="SELECT nothing_like_that")

    assert isinstance(refused, Fail)
    good, bad = traced.spans
    assert attributes(good)["db.query.text"] == "SELECT n FROM generate_series(1, $1) AS n"
    assert "db.query.text" not in attributes(bad)
    assert attributes(bad)["error.type"] == "42703"


def test_each_request_has_a_span_and_sends_its_context(site: HttpServer, traced: SpanRecorder) -> None:
    site.replies["/old?api_key=hush"] = Reply(302, {"Location": "/new"})
    site.replies["/new"] = Reply(404)
    env = loopback_environment(tracer=traced.tracer)

    with traced.run() as span:
        env.run(HttpRequest, url=site.url.replace("//", "//me:hush@") + "/old?api_key=hush")

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


def test_traceparent_of_the_parameters_is_sent_unchanged(site: HttpServer, traced: SpanRecorder) -> None:
    own = "00-5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e-5eed5eed5eed5eed-01"

    with traced.run():
        loopback_environment(tracer=traced.tracer).run(HttpRequest, url=site.url, headers={"TraceParent": own})

    assert [request.headers["TraceParent"] for request in site.requests] == [own]


def test_span_of_a_failed_request_names_the_error(traced: SpanRecorder) -> None:
    env = loopback_environment(tracer=traced.tracer)

    with traced.run(), pytest.raises(httpcore.ConnectError), env.context.http() as client:
        client.get(f"http://127.0.0.1:{free_port()}/")

    assert attributes(traced.only_span)["error.type"] == "ConnectError"


def test_unsampled_attempt_makes_no_spans_and_sends_no_context(site: HttpServer, empty_database_url: str) -> None:
    unused = SpanRecorder()
    env = loopback_environment(tracer=unused.tracer)

    env.run(HttpRequest, url=site.url)
    database_environment(empty_database_url, tracer=unused.tracer).run(RunQuery, query="SELECT 1")

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
def test_secrets_in_a_url_are_redacted(url: str, expected: str) -> None:
    assert redact_url(url) == expected


def test_message_has_a_span_without_addresses(inbox: Inbox, traced: SpanRecorder) -> None:
    env = make_environment(smtp={"host": "127.0.0.1", "port": inbox.port}, tracer=traced.tracer)
    inbox.refusals["b@example.org"] = "550 unknown"

    with traced.run():
        env.run(SendEmail, to=["a@example.org", "b@example.org"], subject="s", body="b")

    assert traced.only_span.name == "SMTP send"
    assert attributes(traced.only_span) == {
        "server.address": "127.0.0.1",
        "server.port": inbox.port,
        "taskcore.email.recipients": 2,
        "taskcore.email.recipients_refused": 1,
    }


def test_span_of_a_refused_message_has_the_reply_code(inbox: Inbox, traced: SpanRecorder) -> None:
    env = make_environment(smtp={"host": "127.0.0.1", "port": inbox.port}, tracer=traced.tracer)
    inbox.data_reply = "554 no"

    with traced.run():
        env.run(SendEmail, to=["a@example.org"], subject="s", body="b")

    assert attributes(traced.only_span)["error.type"] == "554"
    assert "example.org" not in traced.only_span.to_json()


def test_command_gets_the_context_and_its_span_has_no_arguments(traced: SpanRecorder) -> None:
    program = "import os, sys; print(os.environ['TRACEPARENT']); sys.exit(len(sys.argv))"
    argv = [sys.executable, "-c", program]
    env = make_environment(commands={"it": {"argv": argv, "max_arguments": 1}}, tracer=traced.tracer)

    with traced.run(), pytest.raises(CommandFailed) as caught:
        env.run(RunCommand, command="it", arguments=["hush"])

    assert traceparent(traced.only_span) in str(caught.value)
    assert attributes(traced.only_span)["process.exit.code"] == 2
    assert attributes(traced.only_span)["error.type"] == "2"
    assert "hush" not in traced.only_span.to_json()


def test_command_of_an_unsampled_attempt_gets_no_context() -> None:
    argv = [sys.executable, "-c", "import os; print('TRACEPARENT' in os.environ)"]

    result = make_environment(commands={"it": {"argv": argv}}).run(RunCommand, command="it")

    assert result["output"].strip() == "False"
