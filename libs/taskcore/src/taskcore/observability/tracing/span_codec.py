"""Spans as data: how those of a task process come to its executor, which sends them on as its own.

Bounded, and cleaned where they arrive: a process that runs foreign code may say anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

from taskcore.domain.documents import clean_text
from taskcore.observability.tracing.propagation import remote

MAX_BYTES = 1024 * 1024
MAX_TEXT = 4_096
INT64 = 2**63

_Id = tuple[str, str]


class CarriedEvent(msgspec.Struct, array_like=True):
    name: str
    at_ns: int
    attributes: dict[str, Any]


class CarriedSpan(msgspec.Struct, array_like=True):
    """Ids are a trace's and a span's, as hexadecimal digits."""

    name: str
    id: _Id
    parent: _Id | None
    kind: int
    began_ns: int
    ended_ns: int
    attributes: dict[str, Any]
    events: list[CarriedEvent]
    links: list[tuple[_Id, dict[str, Any]]]
    status: int
    description: str | None
    scope: str


def pack(spans: Sequence[ReadableSpan]) -> tuple[bytes, int]:
    """As many as fit, as JSON, and how many do not."""
    frames, size = [], 0
    for span in spans:
        frame = msgspec.json.encode(_carried(span))
        size += len(frame) + 1
        if size <= MAX_BYTES:
            frames.append(msgspec.Raw(frame))
    return msgspec.json.encode(frames), len(spans) - len(frames)


def unpack(data: bytes, trace_id: str, resource: Resource) -> list[ReadableSpan]:
    """Those of the trace that they should be of. Raises `msgspec.MsgspecError`, and `ValueError` for no ids."""
    carried = msgspec.json.decode(data, type=list[CarriedSpan])
    return [_span(one, resource) for one in carried if one.id[0] == trace_id]


def _carried(span: ReadableSpan) -> CarriedSpan:
    context = span.get_span_context()
    assert context is not None
    return CarriedSpan(
        name=_plain(span.name),
        id=_id(context),
        parent=None if span.parent is None else _id(span.parent),
        kind=span.kind.value,
        began_ns=span.start_time or 0,
        ended_ns=span.end_time or 0,
        attributes=_plain_all(span.attributes),
        events=[CarriedEvent(_plain(one.name), one.timestamp, _plain_all(one.attributes)) for one in span.events],
        links=[(_id(one.context), _plain_all(one.attributes)) for one in span.links],
        status=span.status.status_code.value,
        description=_plain(span.status.description),
        scope="" if span.instrumentation_scope is None else _plain(span.instrumentation_scope.name),
    )


def _span(one: CarriedSpan, resource: Resource) -> ReadableSpan:
    is_error = one.status == StatusCode.ERROR.value
    return ReadableSpan(
        _plain(one.name),
        remote(*one.id),
        None if one.parent is None else remote(*one.parent),
        resource,
        _plain_all(one.attributes),
        [Event(_plain(event.name), _plain_all(event.attributes), _time(event.at_ns)) for event in one.events],
        [Link(remote(*of), _plain_all(attributes)) for of, attributes in one.links],
        SpanKind(one.kind),
        status=Status(StatusCode(one.status), _plain(one.description) if is_error else None),
        start_time=_time(one.began_ns),
        end_time=_time(one.ended_ns),
        instrumentation_scope=InstrumentationScope(_plain(one.scope)),
    )


def _id(context: SpanContext) -> _Id:
    return f"{context.trace_id:032x}", f"{context.span_id:016x}"


def _time(since_epoch_ns: int) -> int:
    return max(0, min(since_epoch_ns, INT64 - 1))


def _plain_all(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_plain(name): _plain(value) for name, value in (attributes or {}).items() if value is not None}


def _plain(value: Any) -> Any:
    """What both JSON and protobuf can hold: a number too large for them becomes text."""
    match value:
        case str():
            return clean_text(value[:MAX_TEXT])
        case bool() | None:
            return value
        case int() if -INT64 <= value < INT64:
            return value
        case float() if value - value == 0:  # neither infinite nor no number at all
            return value
        case list() | tuple():
            return [_plain(one) for one in value]
    return clean_text(str(value)[:MAX_TEXT])
