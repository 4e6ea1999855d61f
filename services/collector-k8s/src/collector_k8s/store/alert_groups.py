"""What keeps a storm of events from opening an alert, and submitting a task, for each object: alerts are grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from taskcore.domain.alerts import ANY, AlertKey, AlertUpdate, group_name, merge


@dataclass(frozen=True, slots=True)
class OpenedLately:
    """How many alerts a rule has opened within the last minute: for one object, and for groups of them."""

    alerts: int = 0
    groups: int = 0


@dataclass(slots=True)
class GroupedUpdates:
    """The updates to store, sorted by key; how many of each rule were grouped; and what the first of each group was."""

    updates: list[AlertUpdate] = field(default_factory=list)
    grouped: Counter[str] = field(default_factory=Counter)
    firsts: dict[AlertKey, AlertUpdate] = field(default_factory=dict)


def group_keys(updates: Iterable[AlertUpdate]) -> set[AlertKey]:
    """Return the keys of the groups that the updates may become a part of."""
    return {group.key for one in updates for group in (_group(one), _rest(one))}


def group_updates(
    updates: Iterable[AlertUpdate],
    open_keys: Collection[AlertKey],
    opened: Mapping[str, OpenedLately],
    max_per_minute: int,
) -> GroupedUpdates:
    """Have each rule open up to `max_per_minute` alerts, and count the rest in groups of one kind and reason.

    A rule opens as many groups, and counts what is beyond in one alert. Alerts that are open already (`open_keys`, of
    updates and of groups) are always counted.
    """
    alerts = Counter({rule: lately.alerts for rule, lately in opened.items()})
    groups = Counter({rule: lately.groups for rule, lately in opened.items()})
    result = GroupedUpdates()
    found: dict[AlertKey, AlertUpdate] = {}
    for one in updates:
        target = one
        if not _admit(one, open_keys, found, alerts, max_per_minute):
            target = _group(one)
            if not _admit(target, open_keys, found, groups, max_per_minute):
                target = _rest(one)
            result.grouped[one.rule] += 1
            result.firsts.setdefault(target.key, one)
        found[target.key] = merge(found[target.key], target) if target.key in found else target
    result.updates = [found[key] for key in sorted(found)]
    return result


def _admit(
    one: AlertUpdate,
    open_keys: Collection[AlertKey],
    found: Collection[AlertKey],
    opened: Counter[str],
    most: int,
) -> bool:
    """Return whether this alert is open, or may be opened, and count it then."""
    if one.key in open_keys or one.key in found:
        return True
    if opened[one.rule] >= most:
        return False
    opened[one.rule] += 1
    return True


def _group(one: AlertUpdate) -> AlertUpdate:
    return replace(one, namespace=ANY, name=group_name(one.rule))


def _rest(one: AlertUpdate) -> AlertUpdate:
    return replace(_group(one), kind=ANY, reason=ANY)
