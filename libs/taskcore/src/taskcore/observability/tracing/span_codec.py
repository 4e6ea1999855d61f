"""Encodes the spans of a task process for its executor, which exports them as its own.

The size is bounded, and the decoder cleans every value: a process that runs foreign code may send anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanKind, Status, StatusCode

from taskcore.domain.documents import clean_text
from taskcore.domain.tasks import SpanIds
from taskcore.observability.tracing.propagation import ids_of, remote_context

MAX_BYTES = 1024 * 1024
MAX_TEXT = 4_096
INT64 = 2**63


class EncodedSpan(msgspec.Struct, array_like=True):
    """Events consist of name, Unix time in nanoseconds, and attributes."""

    name: str
    id: SpanIds
    parent: SpanIds | None
    kind: int
    start_ns: int
    end_ns: int
    attributes: dict[str, Any]
    events: list[tuple[str, int, dict[str, Any]]]
    links: list[tuple[SpanIds, dict[str, Any]]]
    status: int
    description: str | None
    scope: str


def encode_spans(spans: Sequence[ReadableSpan]) -> tuple[bytes, int]:
    """Return as many spans as fit in `MAX_BYTES`, as JSON, and the number of those that do not."""
    frames, size = [], 0
    for span in spans:
        frame = msgspec.json.encode(_encode(span))
        size += len(frame) + 1
        if size <= MAX_BYTES:
            frames.append(msgspec.Raw(frame))
    return msgspec.json.encode(frames), len(spans) - len(frames)


def decode_spans(data: bytes, trace_id: str, resource: Resource) -> list[ReadableSpan]:
    """Return the spans that belong to `trace_id`. Raises `ValueError` for malformed data or ids."""
    encoded = msgspec.json.decode(data, type=list[EncodedSpan])
    return [_decode(one, resource) for one in encoded if one.id.trace_id == trace_id]


def _encode(span: ReadableSpan) -> EncodedSpan:
    context = span.get_span_context()
    assert context is not None
    return EncodedSpan(
        name=_clean_value(span.name),
        id=ids_of(context),
        parent=None if span.parent is None else ids_of(span.parent),
        kind=span.kind.value,
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=clean_attributes(span.attributes),
        events=[(_clean_value(one.name), one.timestamp, clean_attributes(one.attributes)) for one in span.events],
        links=[(ids_of(one.context), clean_attributes(one.attributes)) for one in span.links],
        status=span.status.status_code.value,
        description=_clean_value(span.status.description),
        scope="" if span.instrumentation_scope is None else _clean_value(span.instrumentation_scope.name),
    )


def _decode(one: EncodedSpan, resource: Resource) -> ReadableSpan:
    is_error = one.status == StatusCode.ERROR.value
    return ReadableSpan(
        _clean_value(one.name),
        remote_context(*one.id),
        None if one.parent is None else remote_context(*one.parent),
        resource,
        clean_attributes(one.attributes),
        [Event(_clean_value(name), clean_attributes(given), _time(time_ns)) for name, time_ns, given in one.events],
        [Link(remote_context(*of), clean_attributes(attributes)) for of, attributes in one.links],
        SpanKind(one.kind),
        status=Status(StatusCode(one.status), _clean_value(one.description) if is_error else None),
        start_time=_time(one.start_ns),
        end_time=_time(one.end_ns),
        instrumentation_scope=InstrumentationScope(_clean_value(one.scope)),
    )


def _time(since_epoch_ns: int) -> int:
    return max(0, min(since_epoch_ns, INT64 - 1))


def clean_attributes(attributes: Mapping[str, Any] | None, max_text: int = MAX_TEXT) -> dict[str, Any]:
    """Return attributes that JSON and protobuf can both represent, with texts of up to `max_text` characters."""
    given = {name: value for name, value in (attributes or {}).items() if value is not None}
    return {_clean_value(name, max_text): _clean_value(value, max_text) for name, value in given.items()}


def _clean_value(value: Any, max_text: int = MAX_TEXT) -> Any:
    """Return a value that JSON and protobuf can both represent. Numbers that neither can become text."""
    match value:
        case str():
            return clean_text(value[:max_text])
        case bool() | None:
            return value
        case int() if -INT64 <= value < INT64:
            return value
        case float() if value - value == 0:  # finite
            return value
        case list() | tuple():
            return [_clean_value(one, max_text) for one in value]
    return clean_text(str(value)[:max_text])
