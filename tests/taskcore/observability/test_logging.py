"""What log lines contain. Each test has a process of its own, since logging is configured for a whole process."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from typing import Any

import pytest

SETUP = """
import asyncio, contextvars, logging, threading, uuid
import structlog
from taskcore.observability.log_context import LogContext
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.settings import LogSettings, Settings
from taskcore.observability.logging import configure_logging

configure_logging(LogSettings(level="info"))
log = structlog.stdlib.get_logger("tests")
library = logging.getLogger("library")
claimed = ClaimedTask(Lease(7, 2, uuid.uuid4()), "n", "noop", "default", {}, 0, 4, 0.0, request_id="abc")
"""
ATTEMPT_FIELDS = {"task_id": 7, "attempt": 2, "task_type": "noop", "request_id": "abc"}


def run(script: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", SETUP + script], capture_output=True, check=True, text=True)
    return done.stderr.splitlines()


def logged(script: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(script)]


def test_lines_of_all_loggers_carry_the_fields_of_the_attempt() -> None:
    lines = logged("""
async def main():
    library.warning("in a coroutine")
    await asyncio.to_thread(library.warning, "in a thread of asyncio's")

def attempt():
    LogContext().started(claimed)
    log.info("ours")
    library.warning("library %s", 1)
    asyncio.run(main())

contextvars.copy_context().run(attempt)
log.info("afterwards")
""")

    *during, after = lines
    assert [line["event"] for line in during] == ["ours", "library 1", "in a coroutine", "in a thread of asyncio's"]
    assert all(line.items() >= ATTEMPT_FIELDS.items() for line in during)
    assert not after.keys() & ATTEMPT_FIELDS.keys()


def test_line_in_a_sampled_trace_carries_the_trace_id() -> None:
    lines = logged("""
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
for flags in (0, 1):
    context = SpanContext(0xabc, 1, is_remote=False, trace_flags=TraceFlags(flags))
    with trace.use_span(NonRecordingSpan(context)):
        log.info("inside")
""")

    assert [line.get("trace_id") for line in lines] == [None, f"{0xABC:032x}"]


def test_exception_is_one_line_without_its_password() -> None:
    (line,) = logged("""
try:
    raise ConnectionError("postgresql://me:hunter2@db is down")
except ConnectionError:
    library.exception("failed at amqp://me:hunter2@mq", extra={})
""")

    assert line["event"] == "failed at amqp://me:***@mq"
    assert line["exception"].splitlines()[-1] == "ConnectionError: postgresql://me:***@db is down"


def test_secrets_are_redacted_at_any_depth_and_in_settings() -> None:
    lines = run("""
smtp = {"host": "h", "username": "u", "password": "hunter2"}
settings = Settings(database_url="postgresql://me:hunter2@db/x", smtp=smtp)
log.info("all", settings=settings, url=settings.database_url, smtp=settings.smtp)
error = ValueError("http://a:hunter2@b")
log.info("deep", headers=[{"Authorization": "hunter2"}], error=error, own=dict(token="hunter2"))
""")

    assert len(lines) == 2
    assert "hunter2" not in "".join(lines)
    assert "http://a:***@b" in lines[1]


def test_value_without_a_repr_spoils_only_its_own_field() -> None:
    (line,) = logged("""
class Odd:
    def __repr__(self): raise RuntimeError("broken")
log.info("odd", odd=Odd(), even=2)
""")

    assert (line["odd"], line["even"]) == ("<Odd>", 2)


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_value_costs_its_line(format_: str) -> None:
    lines = run(f"""
configure_logging(LogSettings(format="{format_}"))
ring = dict(); ring["ring"] = ring
class Odd:
    def __repr__(self): raise RuntimeError("broken")
class OddError(Exception):
    __str__ = __repr__ = Odd.__repr__
    __cause__ = property(Odd.__repr__)
log.info("first", keys={{(1, 2): 3}}, ring=ring, odd=Odd())
try:
    raise OddError
except OddError:
    log.exception("second")
log.info("third")
""")

    text = "".join(lines)
    assert all(word in text for word in ("first", "(1, 2)", "second", "OddError", "third"))
    assert "Logging error" not in text


@pytest.mark.parametrize(("format_", "is_json"), [("auto", False), ("json", True)])
def test_lines_on_a_terminal_are_readable_by_default(format_: str, is_json: bool) -> None:
    reader, terminal = pty.openpty()
    script = SETUP + "log.warning('hello', password='hunter2', of='http://a:hunter2@b')"
    env = {**os.environ, "TASKCORE_LOG__FORMAT": format_}
    subprocess.run(
        [sys.executable, "-c", script.replace('LogSettings(level="info")', "Settings().log")],
        stderr=terminal,
        env=env,
        check=True,
    )
    text = os.read(reader, 65_536).decode()
    os.close(reader)
    os.close(terminal)

    assert text.lstrip().startswith("{") is is_json
    assert "hello" in text
    assert "hunter2" not in text
    assert "http://a:***@b" in text


def test_level_changes_for_loggers_that_have_been_used_already() -> None:
    lines = logged("""
from taskcore.observability.logging import set_log_level
log = log.bind(n=1)
log.debug("dropped"); log.info("first")
set_log_level("error")
log.info("dropped"); log.error("second")
set_log_level("debug")
log.debug("third")
""")

    assert [line["event"] for line in lines] == ["first", "second", "third"]
