"""Alerts: rules select Kubernetes events, and events about the same object and reason are counted as one alert."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from taskcore.domain.kubernetes_events import StoredEvent

#: The variables of a rule's task template, in the order in which error messages list them.
TEMPLATE_VARIABLES = ("cluster", "namespace", "kind", "object", "reason", "type", "message", "rule")

#: What identifies an open alert: cluster, namespace, kind, name, reason.
AlertKey = tuple[str, str, str, str, str]


class Rule(Protocol):
    """A rule that selects events. An empty list matches anything."""

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
    @property
    def min_count(self) -> int: ...


#: In bytes. Four parts of this size and a cluster's name fit into one row of the index on open alerts.
MAX_KEY_PART_BYTES = 512

#: In an alert for several objects, this stands in place of what they do not share.
ANY = "*"

R = TypeVar("R", bound=Rule)


@dataclass(frozen=True, slots=True)
class AlertUpdate:
    """The events of one batch that belong to one alert.

    `count` is their number; type, message and rule are those of the last event.
    """

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
    def key(self) -> AlertKey:
        return (self.cluster, self.namespace, self.kind, self.name, self.reason)

    @property
    def template_values(self) -> dict[str, str]:
        """The value of each of `TEMPLATE_VARIABLES`."""
        return {name: getattr(self, "name" if name == "object" else name) for name in TEMPLATE_VARIABLES}


def group_name(rule: str) -> str:
    """Return the name of the object in the alerts that `rule` opens for groups. No object has a space in its name."""
    return f"{ANY} {rule}"


def first_matching_rule(rules: Iterable[R], event: StoredEvent) -> R | None:
    """Return the rule that raises an alert: the first that matches, unless the event has to happen more often."""
    rule = next((rule for rule in rules if _matches(rule, event)), None)
    return rule if rule is not None and event.count >= rule.min_count else None


def aggregate_updates(
    matched: Iterable[tuple[Rule, StoredEvent]], previous_counts: Mapping[int, int]
) -> list[AlertUpdate]:
    """Return one update per alert, sorted by key.

    `previous_counts` maps an event's id to the count of its previous version, if there was one.
    """
    found: dict[AlertKey, AlertUpdate] = {}
    for rule, event in matched:
        one = _update_from(rule, event, previous_counts.get(event.id))
        found[one.key] = merge(found[one.key], one) if one.key in found else one
    return [found[key] for key in sorted(found)]


def merge(one: AlertUpdate, other: AlertUpdate) -> AlertUpdate:
    """Return what two updates of one alert amount to."""
    last = max(one, other, key=lambda sighting: sighting.last_at)
    return replace(last, count=one.count + other.count, first_at=min(one.first_at, other.first_at))


def _matches(rule: Rule, event: StoredEvent) -> bool:
    wanted = (
        (rule.types, event.type),
        (rule.kinds, event.kind),
        (rule.reasons, event.reason),
        (rule.namespaces, event.namespace),
    )
    return all(not values or value in values for values, value in wanted)


def _update_from(rule: Rule, event: StoredEvent, counted: int | None) -> AlertUpdate:
    return AlertUpdate(
        rule=rule.name,
        cluster=event.cluster,
        namespace=_truncated(event.namespace),
        kind=_truncated(event.kind),
        name=_truncated(event.name),
        reason=_truncated(event.reason),
        type=event.type,
        message=event.message,
        count=max(1, event.count - (counted or 0)),
        first_at=min(event.first_at, event.at) if counted is None else event.at,
        last_at=event.at,
    )


def _truncated(text: str) -> str:
    return text.encode()[:MAX_KEY_PART_BYTES].decode(errors="ignore")
