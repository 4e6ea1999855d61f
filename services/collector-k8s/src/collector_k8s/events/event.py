"""Pure: an event as either API group gives it, made into the one shape in which it is stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Struct

from taskcore.domain.documents import clean_text
from taskcore.errors import TaskcoreError

TASK_LABEL = "taskcore.io/task-id"
MAX_ID = 2**63 - 1
MAX_NAME_LENGTH = 256


class MalformedEvent(TaskcoreError):
    """The cluster gave something that is not an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """A version of an event. `about_uid` is of the object that it is about, by its `kind` and `name`."""

    uid: str
    resource_version: str
    namespace: str
    kind: str
    name: str
    reason: str
    type: str
    message: str
    component: str
    count: int
    first_at: datetime
    at: datetime
    task_id: int | None = None
    involved_uid: str = ""


@dataclass(frozen=True, slots=True)
class StoredEvent(Event):
    """One that has just become the current version, in the transaction that is under way."""

    id: int = 0
    cluster: str = ""


class ObjectMeta(Struct, rename="camel"):
    uid: str
    resource_version: str
    namespace: str | None = None
    creation_timestamp: datetime | None = None
    labels: dict[str, str] | None = None


class ObjectReference(Struct):
    kind: str | None = None
    name: str | None = None
    uid: str | None = None


class EventSource(Struct):
    component: str | None = None


class EventSeries(Struct, rename="camel"):
    count: int | None = None
    last_observed_time: datetime | None = None


class EventDocument(Struct, rename="camel"):
    """Both shapes at once: `v1` has the first of each pair of names, `events.k8s.io/v1` the second."""

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
    first_timestamp: datetime | None = None
    deprecated_first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    deprecated_last_timestamp: datetime | None = None
    reason: str | None = None
    type: str | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None


def parse_event(raw: bytes | msgspec.Raw, now: datetime) -> Event:
    """The event that `raw` (JSON) describes; `now` is when it is from if it does not say.

    Raises:
        UnreadableEvent: when it is none, or has no uid or version.
    """
    try:
        given = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise MalformedEvent(str(exc)) from exc
    identity = (given.metadata.uid, given.metadata.resource_version)
    if not all(0 < len(part) <= MAX_NAME_LENGTH for part in identity):
        raise MalformedEvent("It has no uid, or no version.")
    about = given.involved_object or given.regarding or ObjectReference()
    at = _last_time(given) or now
    return Event(
        uid=clean_text(given.metadata.uid),
        resource_version=clean_text(given.metadata.resource_version),
        namespace=_name(given.metadata.namespace),
        kind=_name(about.kind),
        name=_name(about.name),
        reason=_name(given.reason),
        type=_name(given.type) or "Normal",
        message=clean_text(given.message or given.note or ""),
        component=_name(_component(given)),
        count=_count(given),
        first_at=min(_first_time(given) or at, at),
        at=at,
        task_id=task_id_of(given.metadata.labels),
        involved_uid=about.uid or "",
    )


def _name(text: str | None) -> str:
    """No longer than what an index takes. Kubernetes' own names are not, but anybody may write events."""
    return clean_text((text or "")[:MAX_NAME_LENGTH])


def is_newer(version: str, other: str) -> bool:
    """Versions of one object are numbers that grow. What is none has at least a fixed order."""
    return (len(version), version) > (len(other), other)


def task_id_of(labels: dict[str, str] | None) -> int | None:
    """The task that the labels name."""
    given = (labels or {}).get(TASK_LABEL, "")
    if not (given.isascii() and given.isdecimal() and len(given) < 20):
        return None
    return int(given) if 0 < int(given) <= MAX_ID else None


def _last_time(given: EventDocument) -> datetime | None:
    """Who counts repetitions in a series leaves the other times as they were at its first event."""
    observed = given.series.last_observed_time if given.series else None
    last = given.last_timestamp or given.deprecated_last_timestamp
    return observed or last or given.event_time or given.metadata.creation_timestamp


def _first_time(given: EventDocument) -> datetime | None:
    first = given.first_timestamp or given.deprecated_first_timestamp
    return first or given.event_time or given.metadata.creation_timestamp


def _count(given: EventDocument) -> int:
    in_series = given.series.count if given.series else None
    return min(max(in_series or given.count or given.deprecated_count or 1, 1), MAX_ID)


def _component(given: EventDocument) -> str:
    source = given.source or given.deprecated_source
    named = source.component if source else None
    return named or given.reporting_component or given.reporting_controller or ""


_decoder = msgspec.json.Decoder(EventDocument)
