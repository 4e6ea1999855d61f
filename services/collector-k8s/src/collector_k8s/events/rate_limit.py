"""Pure: how many events of one reason a namespace may bring in a minute. What is beyond is only counted.

The minute is the one that an event is of, not the one it was read in: a list, or what had piled up, is no flood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from collector_k8s.events.event import Event

#: So many counts, and so many floods, are remembered: the last ones.
MAX_KEYS = 20_000

RateKey = tuple[str, str, datetime]  # namespace, reason, and the minute: its beginning
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class RateState:
    """What came until `now` of each source, and when those that flooded did so last, by what their events say."""

    now: datetime
    counts: Mapping[RateKey, int] = field(default_factory=dict)
    limited_at: Mapping[RateKey, datetime] = field(default_factory=dict)


def advance(state: RateState, now: datetime, memory: timedelta) -> RateState:
    """`tally` as of `now`: floods are forgotten after `memory`."""
    recent = {source: at for source, at in state.limited_at.items() if now - at < memory}
    return replace(state, now=now, limited_at=recent)


def admit(state: RateState, live: Sequence[Event], limit: int) -> tuple[list[Event], Counter[RateKey], RateState]:
    """Those of `live` that are to be stored, how many more there are of each source, and the tally with all of them."""
    counts = dict(state.counts)
    limited_at = dict(state.limited_at)
    flooded: Counter[RateKey] = Counter()
    admitted = []
    for event in live:
        source = _source(event, min(event.at, state.now))  # what says that it is of later is of now
        counts[source] = counts.pop(source, 0) + 1
        if counts[source] <= limit:
            admitted.append(event)
        else:
            flooded[source] += 1
            limited_at[_source(event, event.at)] = state.now
    return admitted, flooded, replace(state, counts=_last(counts), limited_at=_last(limited_at))


def drop_limited(state: RateState, listed: Sequence[Event]) -> list[Event]:
    """Those of a reconciling list whose source has not flooded: it would bring what was only counted, as if missed."""
    return [event for event in listed if _source(event, event.at) not in state.limited_at]


def _source(event: Event, at: datetime) -> RateKey:
    return event.namespace, event.reason, at.astimezone(UTC).replace(second=0, microsecond=0)


def _last(remembered: dict[RateKey, V]) -> dict[RateKey, V]:
    return dict(list(remembered.items())[-MAX_KEYS:])
