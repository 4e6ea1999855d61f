"""Traced attempts, in threads and in processes of their own. None of their spans reaches another task."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.tasks import Claim, ClaimedTask, Lease
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.child_spans import MAX_SPANS
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import Parameters, Plugin, Plugins, TaskContext, build_plugins
from taskcore.plugins.context import NullServices
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings
from tests.taskcore.execution.isolation.behaviours import OTHER, load

SUBMITTED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


class RecordingServices(NullServices):
    """Remembers the contexts in which tasks are submitted."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[str | None] = []

    def submit(self, task: Mapping[str, Any]) -> int:
        self.submitted.append(current_traceparent())
        return 12


class ExecutorHarness:
    """An executor without a database, and the spans that it made."""

    def __init__(self, plugins: Plugins, load: Callable[[], Plugins] = load) -> None:
        self.kept = InMemorySpanExporter()
        self.tracing = Tracing.start(Settings(), "tests", extra_processors=[SimpleSpanProcessor(self.kept)])
        self.services = RecordingServices()
        self.executor = Executor(
            cast("Any", None),
            plugins,
            Settings(),
            worker_id=1,
            incarnation=1,
            forkserver=ForkServer(Settings(), load),
            make_services=lambda claimed: self.services,
            tracing=self.tracing,
        )

    def run(self, type_: str, *, is_sampled: bool = True, **parameters: str) -> AttemptResult:
        claimed = ClaimedTask(Lease(7, 1, uuid4()), "t", type_, "default", parameters, 0, 4, time.monotonic())
        submitted = SUBMITTED if is_sampled else None
        claim = Claim(claimed, None, datetime.now(UTC), submitted)
        for observer in self.executor.observers:
            observer.claimed([claim], time.time_ns())
        finished = self.executor.run(claimed)
        assert finished is not None
        return finished.result

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.kept.get_finished_spans()}


@pytest.fixture(scope="module")
def shared() -> Iterator[ExecutorHarness]:
    harness = ExecutorHarness(load())
    yield harness
    harness.executor.close()


@pytest.fixture
def harness(shared: ExecutorHarness) -> ExecutorHarness:
    shared.kept.clear()
    shared.services.submitted.clear()
    return shared


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent_ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def test_spans_of_a_task_process_are_exported_by_its_executor(harness: ExecutorHarness) -> None:
    harness.run("isolated", behaviour="trace_steps")

    run, step, read = (harness.spans[name] for name in ("run isolated", "resize", "read"))
    assert (parent_ids(step), parent_ids(read)) == (ids(run), ids(step))
    assert (step.attributes, read.kind) == ({"pixels": 640}, SpanKind.CLIENT)
    assert (step.status.status_code, step.status.description) == (StatusCode.ERROR, "blurred")
    assert [(event.name, event.attributes) for event in step.events] == [("half", {"of": "it"})]
    assert [(link.context.trace_id, link.context.span_id) for link in read.links] == [(OTHER.trace_id, OTHER.span_id)]
    assert read.instrumentation_scope is not None
    assert (read.instrumentation_scope.name, read.resource) == ("library", run.resource)
    assert (run.start_time or 0) <= (step.start_time or 0) <= (read.end_time or 0) <= (step.end_time or 0)


def test_task_submitted_in_a_task_process_continues_the_current_span(harness: ExecutorHarness) -> None:
    harness.run("isolated", behaviour="trace_steps")

    trace_id, span_id = ids(harness.spans["read"])
    assert harness.services.submitted == [f"00-{trace_id:032x}-{span_id:016x}-01"]


def test_task_process_of_an_untraced_attempt_does_not_load_the_sdk(harness: ExecutorHarness) -> None:
    result = harness.run("isolated", behaviour="trace_steps", is_sampled=False)

    assert '"has_sdk":false' in str(result.result_json)
    assert harness.services.submitted == [None]
    assert harness.spans == {}


def test_values_that_cannot_be_encoded_do_not_harm_the_attempt(harness: ExecutorHarness) -> None:
    result = harness.run("isolated", behaviour="trace_oddly")

    (odd,) = [span for span in harness.kept.get_finished_spans() if "large" in (span.attributes or {})]
    assert result.result_json == '"traced"'
    assert odd.attributes is not None
    assert (odd.attributes["large"], odd.attributes["nan"]) == (str(2**70), "nan")
    assert odd.to_json().isascii()


def test_spans_beyond_the_limit_are_counted(harness: ExecutorHarness) -> None:
    before = SPANS_DROPPED.labels("queue_full")._value.get()

    harness.run("isolated", behaviour="trace_much")

    assert [span.name for span in harness.kept.get_finished_spans()].count("much") == MAX_SPANS
    assert SPANS_DROPPED.labels("queue_full")._value.get() - before == 200


def test_spans_of_a_process_that_crashes_are_lost_and_the_run_is_an_error(harness: ExecutorHarness) -> None:
    result = harness.run("isolated", behaviour="trace_and_die")

    assert result.outcome is AttemptOutcome.CRASHED
    assert "before" not in harness.spans
    assert harness.spans["run isolated"].status.status_code is StatusCode.ERROR


class LeakySpans(Plugin[Parameters]):
    """Leaves a library's span in its thread's context when it is interrupted."""

    name = "leaky"

    def __init__(self) -> None:
        self.tracing: Tracing
        self.started = threading.Event()

    def run(self, ctx: TaskContext, params: Parameters) -> object:
        with self.tracing.tracer.start_as_current_span("library's"):
            context.attach(set_span_in_context(self.tracing.tracer.start_span("left")))
            self.started.set()
            ctx.wait(600)
        return None


@pytest.mark.parametrize("is_sampled", [True, False])
def test_cancelled_attempt_leaves_no_span_in_its_thread(is_sampled: bool) -> None:
    leaky = LeakySpans()
    harness = ExecutorHarness({"leaky": leaky})
    leaky.tracing = harness.tracing

    with ThreadPoolExecutor(1) as thread:
        attempt = thread.submit(harness.run, "leaky", is_sampled=is_sampled)
        assert leaky.started.wait(60)
        assert harness.executor.running.interrupt(7, 1, InterruptCause.CANCEL)
        result = attempt.result(60)
        current = thread.submit(trace.get_current_span).result(60)

    assert result.outcome is AttemptOutcome.CANCELLED
    assert current is trace.INVALID_SPAN
    assert ("library's" in harness.spans) == is_sampled


class Submitting(Plugin[Parameters]):
    name = "submitting"

    def run(self, ctx: TaskContext, params: Parameters) -> object:
        with ctx.tracer.start_as_current_span("step"):
            return ctx.submit("noop")


def test_task_submitted_in_a_thread_continues_the_plugins_own_span() -> None:
    harness = ExecutorHarness(build_plugins([Submitting]))

    harness.run("submitting")

    trace_id, span_id = ids(harness.spans["step"])
    assert parent_ids(harness.spans["step"]) == ids(harness.spans["run submitting"])
    assert harness.services.submitted == [f"00-{trace_id:032x}-{span_id:016x}-01"]
