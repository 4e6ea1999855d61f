"""Decode the response of a trace viewer: OTLP as JSON, in the envelopes of Jaeger (v3) and of Tempo (v1 and v2)."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from taskcore.domain.tasks import SpanIds
from taskcore.observability.tracing.conventions import NAMESPACE
from taskcore.observability.tracing.span_record import SpanEvent, SpanRecord

TRACE_BYTES = 16
SPAN_BYTES = 8
MAX_NS = 2**63 - 1
KINDS = ("internal", "internal", "server", "client", "producer", "consumer")
STATUSES = ("unset", "ok", "error")
#: A response has one of these members, unless it is empty and so has no spans.
ENVELOPES = frozenset({"resourceSpans", "batches", "result", "trace"})
#: The members of a scalar attribute value, which has exactly one of them.
SCALARS = ("stringValue", "boolValue", "doubleValue", "bytesValue")


class _Struct(msgspec.Struct, frozen=True, rename="camel"):
    """Ignores unknown members."""


class _Attribute(_Struct, frozen=True):
    key: str
    value: dict[str, Any] | None = None


_Attributes = list[_Attribute] | None


class _Link(_Struct, frozen=True):
    trace_id: str
    span_id: str


class _Event(_Struct, frozen=True):
    name: str = ""
    time_unix_nano: int | str = 0
    attributes: _Attributes = None


class _Status(_Struct, frozen=True):
    code: int | str = 0
    message: str | None = None


class _Span(_Struct, frozen=True):
    trace_id: str
    span_id: str
    start_time_unix_nano: int | str
    end_time_unix_nano: int | str
    name: str = ""
    parent_span_id: str | None = None
    kind: int | str = 0
    status: _Status | None = None
    attributes: _Attributes = None
    links: list[_Link] | None = None
    events: list[_Event] | None = None


class _Scope(_Struct, frozen=True):
    spans: list[_Span] | None = None


class _Resource(_Struct, frozen=True):
    attributes: _Attributes = None


class _ResourceSpans(_Struct, frozen=True):
    resource: _Resource | None = None
    scope_spans: list[_Scope] | None = None


class _Spans(_Struct, frozen=True):
    resource_spans: list[_ResourceSpans] | None = None
    batches: list[_ResourceSpans] | None = None


class _Answer(_Spans, frozen=True):
    result: _Spans | None = None
    trace: _Spans | None = None


def decode_otlp(body: bytes, trace_id: str, *, with_others: bool = False) -> list[SpanRecord]:
    """Return the spans of the trace that Taskcore recorded, or `with_others` all of them.

    Raise ValueError when `body` has none of the known shapes.
    """
    try:
        members = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()
        if members and not members & ENVELOPES:
            raise ValueError(f"has none of {', '.join(sorted(ENVELOPES))}")
        answer = msgspec.json.decode(body, type=_Answer)
        return [span for span in _spans(answer, with_others) if span.trace_id == trace_id]
    except (msgspec.MsgspecError, RecursionError) as exc:
        raise ValueError(str(exc)) from exc


def _spans(answer: _Answer, with_others: bool) -> Iterator[SpanRecord]:
    inner = answer.result or answer.trace or answer
    for group in inner.resource_spans or inner.batches or ():
        resource = _plain(group.resource.attributes if group.resource else None)
        if not with_others and resource.get("service.namespace") != NAMESPACE:
            continue
        for scope in group.scope_spans or ():
            for span in scope.spans or ():
                yield _recorded(span, str(resource.get("service.name", "")))


def _recorded(span: _Span, service: str) -> SpanRecord:
    status = span.status or _Status()
    return SpanRecord(
        trace_id=hex_id(span.trace_id, TRACE_BYTES),
        span_id=hex_id(span.span_id, SPAN_BYTES),
        parent_id=_parent(span.parent_span_id),
        service=service,
        name=span.name,
        kind=_enum_name(span.kind, KINDS, "SPAN_KIND_"),
        start_ns=_ns(span.start_time_unix_nano),
        end_ns=_ns(span.end_time_unix_nano),
        status=_enum_name(status.code, STATUSES, "STATUS_CODE_"),
        status_message=status.message or None,
        attributes=_plain(span.attributes),
        links=_links(span.links or ()),
        events=tuple(SpanEvent(e.name, _ns(e.time_unix_nano), _plain(e.attributes)) for e in span.events or ()),
    )


def hex_id(text: str, size: int) -> str:
    """Return an id of `size` bytes as hexadecimal digits. `text` is either those, or base64 as in protobuf's JSON."""
    digits = text.rstrip("=")
    if len(text) == 2 * size:
        raw = bytes.fromhex(text)
    else:
        raw = base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    if len(raw) != size:
        raise ValueError(f"not an id of {size} bytes")
    return raw.hex()


def _parent(text: str | None) -> str | None:
    found = hex_id(text, SPAN_BYTES) if text else ""
    return found if found.strip("0") else None


def _links(links: Sequence[_Link]) -> Sequence[SpanIds]:
    return tuple(SpanIds(hex_id(one.trace_id, TRACE_BYTES), hex_id(one.span_id, SPAN_BYTES)) for one in links)


def _ns(value: int | str) -> int:
    found = int(value)
    if not 0 <= found <= MAX_NS:
        raise ValueError("not a time")
    return found


def _enum_name(code: int | str, names: Sequence[str], prefix: str) -> str:
    """Return our name for a number or name of the protocol, and the first of `names` for an unknown one."""
    if isinstance(code, int):
        return names[code] if 0 <= code < len(names) else names[0]
    name = code.removeprefix(prefix).lower()
    return name if name in names else names[0]


def _plain(attributes: _Attributes) -> Mapping[str, Any]:
    return {attribute.key: _value(attribute.value or {}) for attribute in attributes or ()}


def _value(value: Mapping[str, Any]) -> Any:
    """Return `value` as JSON. An integer beyond 64 bits stays text."""
    match value:
        case {"intValue": int() | str() as number}:
            found = int(number)
            return found if abs(found) <= MAX_NS else str(found)
        case {"arrayValue": {"values": list(values)}}:
            return [_value(one) if isinstance(one, dict) else None for one in values]
        case {"kvlistValue": {"values": list(values)}}:
            return {str(one.get("key")): _value(one.get("value") or {}) for one in values if isinstance(one, dict)}
    return next((value[name] for name in SCALARS if isinstance(value.get(name), str | bool | float | int)), None)
