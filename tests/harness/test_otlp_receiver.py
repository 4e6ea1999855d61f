"""The trace receiver behaves as the tests that use it expect."""

from __future__ import annotations

import gzip

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from harness.otlp_receiver import OtlpReceiver

TRACE, PARENT, SPAN, OTHER = b"\1" * 16, b"\2" * 8, b"\3" * 8, b"\4" * 8


def attribute(key: str, **value: object) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(**value))  # type: ignore[arg-type]


@pytest.fixture
def body() -> bytes:
    """Return an export request whose span has every field set."""
    span = Span(
        trace_id=TRACE,
        span_id=SPAN,
        parent_span_id=PARENT,
        name="claim",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=1_500_000_000_123_456_789,
        end_time_unix_nano=1_500_000_001_000_000_000,
        attributes=[
            attribute("task.id", int_value=7),
            attribute("queues", array_value=ArrayValue(values=[AnyValue(string_value="default")])),
        ],
        links=[Span.Link(trace_id=TRACE, span_id=OTHER, attributes=[attribute("why", string_value="retry")])],
        status=Status(code=Status.STATUS_CODE_ERROR, message="lost"),
    )
    resource = Resource(attributes=[attribute("service.name", string_value="worker")])
    spans = ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=[span])])
    return ExportTraceServiceRequest(resource_spans=[spans]).SerializeToString()


def send(receiver: OtlpReceiver, body: bytes, timeout_s: float = 60, headers: dict[str, str] | None = None) -> int:
    address = f"{receiver.endpoint}/v1/traces"
    return httpx.post(address, content=body, headers=headers, timeout=timeout_s, trust_env=False).status_code


def test_received_span_is_kept_with_all_fields(otlp_receiver: OtlpReceiver, body: bytes) -> None:
    status = send(otlp_receiver, body)

    (span,) = otlp_receiver.wait_for(lambda spans: spans)
    assert status == 200
    assert (span.service, span.name, span.kind) == ("worker", "claim", "CLIENT")
    assert (span.trace_id, span.span_id, span.parent_id) == (TRACE.hex(), SPAN.hex(), PARENT.hex())
    assert (span.start.isoformat(), span.end.timestamp()) == ("2017-07-14T02:40:00.123456+00:00", 1_500_000_001)
    assert span.attributes == {"task.id": 7, "queues": ["default"]}
    assert [(link.span_id, link.attributes) for link in span.links] == [(OTHER.hex(), {"why": "retry"})]
    assert (span.status, span.status_message) == ("ERROR", "lost")


def test_compressed_request_is_decoded(otlp_receiver: OtlpReceiver, body: bytes) -> None:
    send(otlp_receiver, gzip.compress(body), headers={"Content-Encoding": "gzip"})

    assert [span.name for span in otlp_receiver.spans()] == ["claim"]


def test_rejected_spans_are_not_kept(otlp_receiver: OtlpReceiver, body: bytes) -> None:
    otlp_receiver.respond_with(503)

    status = send(otlp_receiver, body)

    assert status == 503
    assert otlp_receiver.spans() == []
    assert len(otlp_receiver.requests) == 1


def test_hanging_receiver_responds_only_after_release(otlp_receiver: OtlpReceiver, body: bytes) -> None:
    otlp_receiver.hang()

    with pytest.raises(httpx.ReadTimeout):
        send(otlp_receiver, body, timeout_s=0.2)
    assert otlp_receiver.spans() == []
    otlp_receiver.release()

    otlp_receiver.wait_for(lambda spans: len(spans) == 1)
