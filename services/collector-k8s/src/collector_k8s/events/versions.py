"""Which received versions are new, and which one becomes the current version of its event. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from taskcore.domain.kubernetes_events import Event


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The stored version of an event that is the current one.

    `outdated` has all stored versions of the event if the cluster was set back since: then any other one is newer,
    whatever its number.
    """

    id: int
    resource_version: str
    task_id: int | None = None
    outdated: frozenset[str] = frozenset()

    def is_stored(self, resource_version: str) -> bool:
        return resource_version == self.resource_version or resource_version in self.outdated

    def precedes(self, resource_version: str) -> bool:
        return bool(self.outdated) or age_order(resource_version) > age_order(self.resource_version)


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """What to store: new `current` versions, new `earlier` ones, and the ids that are `superseded` as current."""

    current: list[Event] = field(default_factory=list)
    earlier: list[Event] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)


def new_versions(received: Iterable[Event], known: Mapping[str, CurrentVersion]) -> list[Event]:
    """Return the received versions that are not stored as current, each once.

    Some may already be stored as earlier versions, which are not in `known`.
    """
    versions = {(event.uid, event.resource_version): event for event in received}
    return [
        event
        for event in versions.values()
        if event.uid not in known or not known[event.uid].is_stored(event.resource_version)
    ]


def missing_task_ids(received: Iterable[Event], known: Mapping[str, CurrentVersion]) -> dict[int, int]:
    """Return the task ids to add, by the id of the stored version, where a version was stored without one."""
    found = {}
    for event in received:
        stored = known.get(event.uid)
        if stored is None or stored.task_id is not None or stored.resource_version != event.resource_version:
            continue
        if event.task_id is not None:
            found[stored.id] = event.task_id
    return found


def plan_versions(new: Sequence[Event], known: Mapping[str, CurrentVersion]) -> VersionPlan:
    """Decide how to store `new`, in whatever order it was received."""
    newest = {event.uid: event for event in sorted(new, key=lambda event: age_order(event.resource_version))}
    planned = VersionPlan()
    for event in new:
        stored = known.get(event.uid)
        is_newest = newest[event.uid] is event
        if is_newest and (stored is None or stored.precedes(event.resource_version)):
            planned.current.append(event)
            planned.superseded.extend([stored.id] if stored else [])
        else:
            planned.earlier.append(event)
    return planned


def is_earlier(version: str, other: str) -> bool:
    """Return whether `version` precedes `other`. Texts that are no numbers cannot be compared."""
    return version.isdecimal() and other.isdecimal() and int(version) < int(other)


def age_order(version: str) -> tuple[int, str]:
    """Return the key that sorts the resource versions of one object, which are growing numbers, from old to new.

    Other texts at least have a fixed order.
    """
    return len(version), version
