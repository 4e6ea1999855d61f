"""How lines look, in a process of its own: who configures the log does so for the whole process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

HEAD = """
import asyncio, logging, threading, uuid
import structlog
from taskcore.observability.log_context import attempt_context
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.settings import LogSettings, Settings
from taskcore.observability.logging import configure_logging

configure_logging(LogSettings(level="info"))
log = structlog.stdlib.get_logger("ours")
library = logging.getLogger("theirs")
claimed = ClaimedTask(Lease(7, 2, uuid.uuid4()), "n", "noop", "default", {}, 0, 4, 0.0, request_id="asked")
"""
OF_ATTEMPT = {"task_id": 7, "attempt": 2, "task_type": "noop", "request_id": "asked"}


def run(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", HEAD + script], capture_output=True, check=True, text=True)
    return done.stderr.splitlines()


def logged(script: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(script)]


def test_a_line_says_in_which_attempt_it_was_logged_by_whomever() -> None:
    lines = logged("""
async def main():
    library.warning("in a coroutine")
    await asyncio.to_thread(library.warning, "in a thread of asyncio's")

with attempt_context(claimed):
    log.info("ours")
    library.warning("theirs %s", 1)
    asyncio.run(main())
log.info("afterwards")
""")

    *during, after = lines
    assert [line["event"] for line in during] == ["ours", "theirs 1", "in a coroutine", "in a thread of asyncio's"]
    assert all(line.items() >= OF_ATTEMPT.items() for line in during)
    assert not after.keys() & OF_ATTEMPT.keys()


def test_a_line_in_a_trace_that_is_followed_says_which() -> None:
    lines = logged("""
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
for flags in (0, 1):
    context = SpanContext(0xabc, 1, is_remote=False, trace_flags=TraceFlags(flags))
    with trace.use_span(NonRecordingSpan(context)):
        log.info("inside")
""")

    assert [line.get("trace_id") for line in lines] == [None, f"{0xABC:032x}"]


def test_an_exception_is_one_line_without_its_password() -> None:
    (line,) = logged("""
try:
    raise ConnectionError("postgresql://me:hunter2@db is away")
except ConnectionError:
    library.exception("failed at amqp://me:hunter2@mq", extra={})
""")

    assert line["event"] == "failed at amqp://me:***@mq"
    assert line["exception"].splitlines()[-1] == "ConnectionError: postgresql://me:***@db is away"


def test_secrets_in_fields_of_any_depth_and_settings_as_a_whole_show_nothing() -> None:
    lines = run("""
smtp = {"host": "h", "username": "u", "password": "hunter2"}
settings = Settings(database_url="postgresql://me:hunter2@db/x", smtp=smtp)
log.info("all", settings=settings, url=settings.database_url, smtp=settings.smtp)
why = ValueError("http://a:hunter2@b")
log.info("deep", headers=[{"Authorization": "hunter2"}], why=why, mine=dict(token="hunter2"))
""")

    assert len(lines) == 2
    assert "hunter2" not in "".join(lines)
    assert "http://a:***@b" in lines[1]


def test_what_cannot_be_told_costs_its_own_field_only() -> None:
    (line,) = logged("""
class Odd:
    def __repr__(self): raise RuntimeError("no words")
log.info("odd", odd=Odd(), even=2)
""")

    assert (line["odd"], line["even"]) == ("<Odd>", 2)


@pytest.mark.parametrize(("format_", "is_json"), [("auto", False), ("json", True)])
def test_on_a_terminal_lines_are_for_people_unless_told_otherwise(format_: str, is_json: bool) -> None:
    ours, theirs = pty.openpty()
    script = HEAD + "log.warning('hello', password='hunter2', of='http://a:hunter2@b')"
    env = {**os.environ, "TASKCORE_LOG__FORMAT": format_}
    subprocess.run(
        [sys.executable, "-c", script.replace('LogSettings(level="info")', "Settings().log")],
        stderr=theirs,
        env=env,
        check=True,
    )
    text = os.read(ours, 65_536).decode()
    os.close(ours)
    os.close(theirs)

    assert text.lstrip().startswith("{") is is_json
    assert "hello" in text
    assert "hunter2" not in text
    assert "http://a:***@b" in text
