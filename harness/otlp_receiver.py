"""A real trace receiver: OTLP over HTTP on the loopback interface. It can also be slow, reject, or never respond."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from harness.http_server import HttpServer, Request, Response
from harness.waiting import DEADLINE_S, eventually

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PATH = "/v1/traces"


@dataclass(frozen=True)
class Link:
    trace_id: str
    span_id: str
    attributes: Mapping[str, object]


@dataclass(frozen=True)
class Event:
    name: str
    at: datetime
    attributes: Mapping[str, object]


@dataclass(frozen=True)
class Span:
    """A received span. Ids are hexadecimal; `kind` and `status` are the specification's names, such as SERVER."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str | None
    kind: str
    start: datetime
    end: datetime
    attributes: Mapping[str, object]
    links: Sequence[Link]
    events: Sequence[Event]
    status: str
    status_message: str
    resource: Mapping[str, object]


class OtlpReceiver:
    """Accepts and keeps spans by default. Rejected spans are not kept."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._status = 200
        self._delay_s = 0.0
        self._open = threading.Event()
        self._open.set()
        self._server = HttpServer()
        self._server.on("POST", PATH, self._receive)

    @property
    def endpoint(self) -> str:
        """The URL without a path, as the setting expects it."""
        return self._server.url

    @property
    def requests(self) -> Sequence[Request]:
        """All requests so far, including rejected ones."""
        return self._server.requests

    def spans(self) -> list[Span]:
        """Return the spans received so far, in order of arrival."""
        return list(self._spans)

    def wait_for(self, predicate: Callable[[list[Span]], object], timeout_s: float = DEADLINE_S) -> list[Span]:
        """Return the spans once `predicate` is true of them. The predicate may assert."""
        eventually(lambda: predicate(self.spans()), timeout_s, description=f"the expected spans, {self}")
        return self.spans()

    def respond_with(self, status: int) -> None:
        """Respond with this status, such as 503, from now on."""
        self._status = status

    def delay_responses(self, delay_s: float) -> None:
        """Delay each response by `delay_s` from now on."""
        self._delay_s = delay_s

    def hang(self) -> None:
        """Accept requests without responding until `release` is called."""
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def stop(self) -> None:
        self.release()
        self._server.stop()

    def __str__(self) -> str:
        return f"received {sorted({f'{span.service}: {span.name}' for span in self._spans})}"

    def _receive(self, request: Request) -> Response:
        self._open.wait()
        time.sleep(self._delay_s)
        if self._status == 200:
            self._spans += decode_spans(_content(request))
        return Response(self._status, headers={"Content-Type": "application/x-protobuf"})


def decode_spans(body: bytes) -> list[Span]:
    """Return the spans of one request body as a flat list."""
    return [
        _span(span, _plain(resource_spans.resource.attributes))
        for resource_spans in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _content(request: Request) -> bytes:
    is_zipped = request.headers.get("content-encoding") == "gzip"
    return gzip.decompress(request.body) if is_zipped else request.body


def _span(span: trace_pb2.Span, resource: Mapping[str, object]) -> Span:
    return Span(
        service=str(resource.get("service.name", "")),
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        kind=trace_pb2.Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start=_time(span.start_time_unix_nano),
        end=_time(span.end_time_unix_nano),
        attributes=_plain(span.attributes),
        links=[Link(link.trace_id.hex(), link.span_id.hex(), _plain(link.attributes)) for link in span.links],
        events=[Event(event.name, _time(event.time_unix_nano), _plain(event.attributes)) for event in span.events],
        status=trace_pb2.Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        resource=resource,
    )


def _time(since_epoch_ns: int) -> datetime:
    return EPOCH + timedelta(microseconds=since_epoch_ns // 1000)


def _plain(attributes: Sequence[KeyValue]) -> dict[str, object]:
    return {attribute.key: _value(attribute.value) for attribute in attributes}


def _value(value: AnyValue) -> object:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return _plain(value.kvlist_value.values)
        case simple:
            return getattr(value, simple)


@pytest.fixture
def otlp_receiver() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver()
    yield receiver
    receiver.stop()
