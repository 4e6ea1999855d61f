"""The rate limit for events, per namespace, reason and minute: what exceeds it is counted and not stored.

An event counts towards the minute of its own timestamp rather than the minute in which it was read. So a long list, or
a backlog, does not exceed the limit. Pure functions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from taskcore.domain.kubernetes_events import Event

#: The most recently used keys are remembered, up to this number.
MAX_KEYS = 20_000

RateKey = tuple[str, str, datetime]  # namespace, reason, start of the minute
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RateState:
    """The number of events per key until `now`.

    `limited_at` is when the limit was last exceeded. Its keys have the minute of the event's own timestamp, which may
    be in the future.
    """

    now: datetime
    counts: Mapping[RateKey, int] = field(default_factory=dict)
    limited_at: Mapping[RateKey, datetime] = field(default_factory=dict)


def advance(state: RateState, now: datetime, memory: timedelta) -> RateState:
    """Return `state` as of `now`, without the keys that were last limited longer than `memory` ago."""
    recent = {key: at for key, at in state.limited_at.items() if now - at < memory}
    return replace(state, now=now, limited_at=recent)


def admit(state: RateState, live: Sequence[Event], limit: int) -> tuple[list[Event], Counter[RateKey], RateState]:
    """Apply the limit to `live`.

    Return the events to store, the number of the others by key, and the state that includes all of them.
    """
    counts = dict(state.counts)
    limited_at = dict(state.limited_at)
    limited: Counter[RateKey] = Counter()
    admitted = []
    for event in live:
        key = _key(event, min(event.at, state.now))  # a timestamp in the future counts as now
        counts[key] = counts.pop(key, 0) + 1
        if counts[key] <= limit:
            admitted.append(event)
        else:
            limited[key] += 1
            limited_at[_key(event, event.at)] = state.now
    return admitted, limited, replace(state, counts=_newest(counts), limited_at=_newest(limited_at))


def drop_limited(state: RateState, relisted: Sequence[Event]) -> list[Event]:
    """Return the events of a relist whose keys were not limited: the others were skipped on purpose, not missed."""
    return [event for event in relisted if _key(event, event.at) not in state.limited_at]


def _key(event: Event, at: datetime) -> RateKey:
    return event.namespace, event.reason, at.astimezone(UTC).replace(second=0, microsecond=0)


def _newest(entries: dict[RateKey, V]) -> dict[RateKey, V]:
    return dict(list(entries.items())[-MAX_KEYS:])
