"""Parsing events of either API group into the one shape that is stored. Pure functions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from taskcore.domain.documents import clean_text
from taskcore.domain.kubernetes_events import Event
from taskcore.errors import TaskcoreError

#: A time with its zone.
Time = Annotated[datetime, Meta(tz=True)]

TASK_LABEL = "taskcore.io/task-id"
MAX_ID = 2**63 - 1
MAX_NAME_LENGTH = 256


class MalformedEvent(TaskcoreError):
    """The cluster sent an object that is not a valid event."""


class ObjectMeta(Struct, rename="camel"):
    uid: str = ""
    resource_version: str = ""
    namespace: str | None = None
    creation_timestamp: Time | None = None
    labels: dict[str, str] | None = None


class ObjectReference(Struct):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class EventSource(Struct):
    component: str | None = None


class EventSeries(Struct, rename="camel"):
    count: int | None = None
    last_observed_time: Time | None = None


class EventDocument(Struct, rename="camel"):
    """An event in JSON. Of each pair of names, the group `v1` uses the first and `events.k8s.io/v1` the second."""

    metadata: ObjectMeta
    involved_object: ObjectReference | None = None
    regarding: ObjectReference | None = None
    message: str | None = None
    note: str | None = None
    source: EventSource | None = None
    deprecated_source: EventSource | None = None
    reporting_component: str | None = None
    reporting_controller: str | None = None
    count: int | None = None
    deprecated_count: int | None = None
    first_timestamp: Time | None = None
    deprecated_first_timestamp: Time | None = None
    last_timestamp: Time | None = None
    deprecated_last_timestamp: Time | None = None
    reason: str | None = None
    type: str | None = None
    event_time: Time | None = None
    series: EventSeries | None = None


def parse_event(raw: bytes | msgspec.Raw, now: datetime) -> Event:
    """Parse an event from JSON. An event without any time is taken to be from `now`.

    Raises `MalformedEvent` when it is not an event, or has no uid or resource version.
    """
    try:
        document = _decoder.decode(raw)
        at = _last_time(document) or now
        first_at = _first_time(document) or at
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as exc:
        raise MalformedEvent(str(exc)) from exc
    identity = (document.metadata.uid, document.metadata.resource_version)
    if not all(0 < len(part) <= MAX_NAME_LENGTH for part in identity):
        raise MalformedEvent("it has no uid or no resourceVersion")
    involved = document.involved_object or document.regarding or ObjectReference()
    return Event(
        uid=clean_text(document.metadata.uid),
        resource_version=clean_text(document.metadata.resource_version),
        namespace=_name(document.metadata.namespace),
        kind=_name(involved.kind),
        name=_name(involved.name),
        reason=_name(document.reason),
        type=_name(document.type) or "Normal",
        message=clean_text(document.message or document.note or ""),
        component=_name(_component(document)),
        count=_count(document),
        first_at=min(first_at, at),
        at=at,
        task_id=task_id_of(document.metadata.labels),
        involved_uid=_name(involved.uid),
    )


def _name(text: str | None) -> str:
    """Limit a name to what fits into an index. Kubernetes' own names do, but any client may create events."""
    return clean_text((text or "")[:MAX_NAME_LENGTH])


def task_id_of(labels: dict[str, str] | None) -> int | None:
    """Return the id in the task label. `None` when the label is missing or is not an id."""
    value = (labels or {}).get(TASK_LABEL, "")
    if not (value.isascii() and value.isdecimal() and len(value) < 20):
        return None
    return int(value) if 0 < int(value) <= MAX_ID else None


def _last_time(document: EventDocument) -> datetime | None:
    """Return when it was last observed: in a series, the other times stay those of its first occurrence."""
    observed = document.series.last_observed_time if document.series else None
    last = document.last_timestamp or document.deprecated_last_timestamp
    return _in_utc(observed or last or document.event_time or document.metadata.creation_timestamp)


def _first_time(document: EventDocument) -> datetime | None:
    first = document.first_timestamp or document.deprecated_first_timestamp
    return _in_utc(first or document.event_time or document.metadata.creation_timestamp)


def _in_utc(time: datetime | None) -> datetime | None:
    """Raises `OverflowError` for a time that has no year in UTC."""
    return None if time is None else time.astimezone(UTC)


def _count(document: EventDocument) -> int:
    in_series = document.series.count if document.series else None
    return min(max(in_series or document.count or document.deprecated_count or 1, 1), MAX_ID)


def _component(document: EventDocument) -> str:
    source = document.source or document.deprecated_source
    named = source.component if source else None
    return named or document.reporting_component or document.reporting_controller or ""


_decoder = msgspec.json.Decoder(EventDocument)
