"""Attempts that are followed: in a process of their own as in a thread, and nothing of it reaches another task."""

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

from harness.span_recorder import SpanRecorder
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.executor import Executor
from taskcore.execution.isolation.child_spans import MAX_SPANS
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.observability.metrics import SPANS_DROPPED
from taskcore.observability.tracing import span_codec
from taskcore.observability.tracing.attempt_spans import AttemptTrace, ClaimInfo
from taskcore.observability.tracing.bounded_processor import BATCH_SIZE, BoundedSpanProcessor
from taskcore.observability.tracing.propagation import current_traceparent
from taskcore.observability.tracing.provider import Tracing
from taskcore.plugins import Parameters, Plugin, Plugins, TaskContext, build_plugins
from taskcore.plugins.cancellation import InterruptCause
from taskcore.plugins.context import NullServices
from taskcore.settings import Settings
from tests.taskcore.execution.isolation.behaviours import OTHER, load

SUBMITTED = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


class Notes(NullServices):
    """Remembers the context that tasks are submitted in."""

    def __init__(self) -> None:
        super().__init__()
        self.submitted: list[str | None] = []

    def submit(self, task: Mapping[str, Any]) -> int:
        self.submitted.append(current_traceparent())
        return 12


class House:
    """An executor without a database, whose spans are kept."""

    def __init__(self, plugins: Plugins, load: Callable[[], Plugins] = load) -> None:
        self.kept = InMemorySpanExporter()
        self.tracing = Tracing.start(Settings(), "tests", extra_processors=[SimpleSpanProcessor(self.kept)])
        self.notes = Notes()
        self.executor = Executor(
            cast("Any", None),
            plugins,
            Settings(),
            worker_id=1,
            incarnation=1,
            forkserver=ForkServer(Settings(), load),
            make_services=lambda claimed: self.notes,
            tracing=self.tracing,
        )

    def run(self, type_: str, *, is_followed: bool = True, **parameters: str) -> AttemptResult:
        begun = ClaimInfo(7, type_, "default", 1, SUBMITTED, None, time.time_ns(), datetime.now(UTC), None)
        followed = AttemptTrace(self.tracing, begun) if is_followed else None
        lease = Lease(7, 1, uuid4())
        claimed = ClaimedTask(lease, "t", type_, "default", parameters, 0, 4, time.monotonic(), trace=followed)
        finished = self.executor.run(claimed)
        assert finished is not None
        return finished.result

    @property
    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.kept.get_finished_spans()}


@pytest.fixture(scope="module")
def shared() -> Iterator[House]:
    house = House(load())
    yield house
    house.executor.close()


@pytest.fixture
def house(shared: House) -> House:
    shared.kept.clear()
    shared.notes.submitted.clear()
    return shared


def ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.context is not None
    return span.context.trace_id, span.context.span_id


def parent_ids(span: ReadableSpan) -> tuple[int, int]:
    assert span.parent is not None
    return span.parent.trace_id, span.parent.span_id


def test_spans_of_a_process_of_its_own_are_sent_as_the_executors(house: House) -> None:
    house.run("isolated", behaviour="trace_steps")

    run, step, read = (house.spans[name] for name in ("run isolated", "resize", "read"))
    assert (parent_ids(step), parent_ids(read)) == (ids(run), ids(step))
    assert (step.attributes, read.kind) == ({"pixels": 640}, SpanKind.CLIENT)
    assert (step.status.status_code, step.status.description) == (StatusCode.ERROR, "blurred")
    assert [(event.name, event.attributes) for event in step.events] == [("half", {"of": "it"})]
    assert [(link.context.trace_id, link.context.span_id) for link in read.links] == [(OTHER.trace_id, OTHER.span_id)]
    assert read.instrumentation_scope is not None
    assert (read.instrumentation_scope.name, read.resource) == ("library", run.resource)
    assert (run.start_time or 0) <= (step.start_time or 0) <= (read.end_time or 0) <= (step.end_time or 0)


def test_what_is_submitted_from_there_goes_on_with_the_span_that_it_was_submitted_in(house: House) -> None:
    house.run("isolated", behaviour="trace_steps")

    trace_id, span_id = ids(house.spans["read"])
    assert house.notes.submitted == [f"00-{trace_id:032x}-{span_id:016x}-01"]


def test_what_is_not_followed_costs_a_process_nothing_and_submits_nothing_that_is(house: House) -> None:
    verdict = house.run("isolated", behaviour="trace_steps", is_followed=False)

    assert '"has_sdk":false' in str(verdict.result_json)
    assert house.notes.submitted == [None]
    assert house.spans == {}


def test_spans_that_cannot_be_told_as_they_are_do_not_harm_the_attempt(house: House) -> None:
    verdict = house.run("isolated", behaviour="trace_oddly")

    (odd,) = [span for span in house.kept.get_finished_spans() if "large" in (span.attributes or {})]
    assert verdict.result_json == '"traced"'
    assert odd.attributes is not None
    assert (odd.attributes["large"], odd.attributes["nan"]) == (str(2**70), "nan")
    assert odd.to_json().isascii()


def test_spans_beyond_the_bound_are_counted(house: House) -> None:
    before = SPANS_DROPPED.labels("queue_full")._value.get()

    house.run("isolated", behaviour="trace_much")

    assert [span.name for span in house.kept.get_finished_spans()].count("much") == MAX_SPANS
    assert SPANS_DROPPED.labels("queue_full")._value.get() - before == 200


def test_spans_of_a_process_that_dies_are_lost_and_its_end_is_told(house: House) -> None:
    verdict = house.run("isolated", behaviour="trace_and_die")

    assert verdict.outcome is AttemptOutcome.CRASHED
    assert "before" not in house.spans
    assert house.spans["run isolated"].status.status_code is StatusCode.ERROR


@pytest.mark.parametrize("data", [b"", b"[[1]]", b'[["n",["' + b"a" * 32 + b'","x"],null,0,0,0,{},[],[],0,null,""]]'])
def test_what_is_no_span_is_refused(house: House, data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        house.tracing.export_encoded(data, "a" * 32, 0)


def test_no_process_speaks_for_the_trace_of_another(house: House) -> None:
    with house.tracing.tracer.start_as_current_span("here"):
        pass
    packed, _ = span_codec.encode_spans(house.kept.get_finished_spans())
    house.kept.clear()

    house.tracing.export_encoded(packed, "a" * 32, 0)

    assert house.spans == {}


def test_what_does_not_fit_is_left_out_and_counted() -> None:
    traced = SpanRecorder()
    for _ in range(500):
        traced.tracer.start_span("large", attributes={"text": "x" * span_codec.MAX_TEXT}).end()

    packed, left_out = span_codec.encode_spans(traced.spans)

    assert len(packed) <= span_codec.MAX_BYTES + 2
    assert 0 < left_out < 500


class Careless(Plugin[Parameters]):
    """Leaves a span of a library's in its thread's context, until it is interrupted."""

    name = "careless"

    def __init__(self) -> None:
        self.tracing: Tracing
        self.is_at_it = threading.Event()

    def run(self, ctx: TaskContext, params: Parameters) -> object:
        with self.tracing.tracer.start_as_current_span("library's"):
            context.attach(set_span_in_context(self.tracing.tracer.start_span("left")))
            self.is_at_it.set()
            ctx.wait(600)
        return None


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_cancelled_attempt_leaves_no_span_to_the_next_of_its_thread(is_followed: bool) -> None:
    careless = Careless()
    house = House({"careless": careless})
    careless.tracing = house.tracing

    with ThreadPoolExecutor(1) as thread:
        attempt = thread.submit(house.run, "careless", is_followed=is_followed)
        assert careless.is_at_it.wait(60)
        assert house.executor.running.interrupt(7, 1, InterruptCause.CANCEL)
        verdict = attempt.result(60)
        current = thread.submit(trace.get_current_span).result(60)

    assert verdict.outcome is AttemptOutcome.CANCELLED
    assert current is trace.INVALID_SPAN
    assert ("library's" in house.spans) == is_followed


class Interrupting(ReadableSpan):
    """Its thread is interrupted while it is handed over."""

    @property
    def context(self) -> Any:
        raise KeyboardInterrupt


def test_spans_that_were_interrupted_on_their_way_take_no_room_for_good() -> None:
    kept = InMemorySpanExporter()
    export = BoundedSpanProcessor(kept, limit=BATCH_SIZE)
    traced = SpanRecorder(export)
    for _ in range(BATCH_SIZE - 1):
        with pytest.raises(KeyboardInterrupt):
            export.on_end(Interrupting("lost"))

    traced.tracer.start_span("first").end()
    export.force_flush()
    for _ in range(BATCH_SIZE):
        traced.tracer.start_span("later").end()
    export.shutdown()

    assert len(kept.get_finished_spans()) == 1 + BATCH_SIZE


class Submitting(Plugin[Parameters]):
    name = "submitting"

    def run(self, ctx: TaskContext, params: Parameters) -> object:
        with ctx.tracer.start_as_current_span("step"):
            return ctx.submit("noop")


def test_a_thread_has_the_plugins_own_spans_and_what_it_submits_goes_on_with_them() -> None:
    house = House(build_plugins([Submitting]))

    house.run("submitting")

    trace_id, span_id = ids(house.spans["step"])
    assert parent_ids(house.spans["step"]) == ids(house.spans["run submitting"])
    assert house.notes.submitted == [f"00-{trace_id:032x}-{span_id:016x}-01"]
