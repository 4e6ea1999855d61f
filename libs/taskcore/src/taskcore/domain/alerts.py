"""What becomes an alert: events that a rule finds worth telling, counted together by what they are about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

#: What a rule's template may name, in this order.
NAMES = ("cluster", "namespace", "kind", "object", "reason", "type", "message", "rule")

#: An alert's identity while it is open: cluster, namespace, kind, name, reason.
Key = tuple[str, str, str, str, str]


class Event(Protocol):
    """A version of an event that was just stored and is current. `count`: how often it happened so far."""

    @property
    def id(self) -> int: ...
    @property
    def cluster(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def first_at(self) -> datetime: ...
    @property
    def at(self) -> datetime: ...


class Rule(Protocol):
    """Lists that are empty match anything."""

    @property
    def name(self) -> str: ...
    @property
    def types(self) -> Sequence[str]: ...
    @property
    def kinds(self) -> Sequence[str]: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def namespaces(self) -> Sequence[str]: ...


#: In bytes: four such parts and a cluster's name fit into a row of the index of the open ones.
MAX_PART = 512

R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was seen of one alert in a batch. `count`: how often; type, message and rule are those of the last event."""

    rule: str
    cluster: str
    namespace: str
    kind: str
    name: str
    reason: str
    type: str
    message: str
    count: int
    first_at: datetime
    last_at: datetime

    @property
    def key(self) -> Key:
        return (self.cluster, self.namespace, self.kind, self.name, self.reason)

    @property
    def words(self) -> dict[str, str]:
        """What `NAMES` stand for."""
        return {name: getattr(self, "name" if name == "object" else name) for name in NAMES}


def matching(rules: Iterable[R], event: Event) -> R | None:
    """The first rule that matches."""
    return next((rule for rule in rules if _matches(rule, event)), None)


def sightings(matched: Iterable[tuple[Rule, Event]], counted: Mapping[int, int]) -> list[Sighting]:
    """What to count, once for each alert, in the order of their keys.

    `counted`: by an event's id, the count that its versions before had, where there were any.
    """
    found: dict[Key, Sighting] = {}
    for rule, event in matched:
        one = _sighting(rule, event, counted.get(event.id))
        found[one.key] = _together(found[one.key], one) if one.key in found else one
    return [found[key] for key in sorted(found)]


def _matches(rule: Rule, event: Event) -> bool:
    wanted = (
        (rule.types, event.type),
        (rule.kinds, event.kind),
        (rule.reasons, event.reason),
        (rule.namespaces, event.namespace),
    )
    return all(not values or value in values for values, value in wanted)


def _sighting(rule: Rule, event: Event, counted: int | None) -> Sighting:
    return Sighting(
        rule=rule.name,
        cluster=event.cluster,
        namespace=_part(event.namespace),
        kind=_part(event.kind),
        name=_part(event.name),
        reason=_part(event.reason),
        type=event.type,
        message=event.message,
        count=max(1, event.count - (counted or 0)),
        first_at=min(event.first_at, event.at) if counted is None else event.at,
        last_at=event.at,
    )


def _part(text: str) -> str:
    return text.encode()[:MAX_PART].decode(errors="ignore")


def _together(one: Sighting, other: Sighting) -> Sighting:
    last = max(one, other, key=lambda sighting: sighting.last_at)
    return replace(last, count=one.count + other.count, first_at=min(one.first_at, other.first_at))
