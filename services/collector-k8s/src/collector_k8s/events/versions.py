"""Pure: which of the versions that came are new, and which of all is the current one of its event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from collector_k8s.events.event import Event, is_newer


@dataclass(frozen=True, slots=True)
class CurrentVersion:
    """The version of an event that is the current one so far, as it is stored."""

    id: int
    resource_version: str
    task_id: int | None = None


@dataclass(frozen=True, slots=True)
class VersionPlan:
    """`current` are the new ones that are; `superseded`: the ids of those that are no more."""

    current: list[Event] = field(default_factory=list)
    earlier: list[Event] = field(default_factory=list)
    superseded: list[int] = field(default_factory=list)


def new_versions(received: Iterable[Event], known: Mapping[str, CurrentVersion]) -> list[Event]:
    """Those of `came` that are not current already, each version once. An earlier one may still be stored already."""
    versions = {(event.uid, event.resource_version): event for event in received}
    return [
        event
        for event in versions.values()
        if event.uid not in known or known[event.uid].resource_version != event.resource_version
    ]


def missing_task_ids(received: Iterable[Event], known: Mapping[str, CurrentVersion]) -> dict[int, int]:
    """The tasks of those that are current already, by their ids, of which it was not known when they were stored."""
    found = {}
    for event in received:
        stands = known.get(event.uid)
        if stands is None or stands.task_id is not None or stands.resource_version != event.resource_version:
            continue
        if event.task_id is not None:
            found[stands.id] = event.task_id
    return found


def plan_versions(new: Sequence[Event], known: Mapping[str, CurrentVersion]) -> VersionPlan:
    """What to store of `new`, in whatever order it came."""
    newest: dict[str, Event] = {}
    for event in new:
        before = newest.get(event.uid)
        if before is None or is_newer(event.resource_version, before.resource_version):
            newest[event.uid] = event
    planned = VersionPlan()
    for event in new:
        stands = known.get(event.uid)
        is_newest = newest[event.uid] is event
        if is_newest and (stands is None or is_newer(event.resource_version, stands.resource_version)):
            planned.current.append(event)
            planned.superseded.extend([stands.id] if stands else [])
        else:
            planned.earlier.append(event)
    return planned
