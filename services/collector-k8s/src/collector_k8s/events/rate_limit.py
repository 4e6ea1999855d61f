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
ROOM = 20_000

Source = tuple[str, str, datetime]  # namespace, reason, and the minute: its beginning
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Tally:
    """What came until `now` of each source, and when those that flooded did so last, by what their events say."""

    now: datetime
    counts: Mapping[Source, int] = field(default_factory=dict)
    flooded_at: Mapping[Source, datetime] = field(default_factory=dict)


def at_time(tally: Tally, now: datetime, memory: timedelta) -> Tally:
    """`tally` as of `now`: floods are forgotten after `memory`."""
    recent = {source: at for source, at in tally.flooded_at.items() if now - at < memory}
    return replace(tally, now=now, flooded_at=recent)


def admit(tally: Tally, live: Sequence[Event], limit: int) -> tuple[list[Event], Counter[Source], Tally]:
    """Those of `live` that are to be stored, how many more there are of each source, and the tally with all of them."""
    counts = dict(tally.counts)
    flooded_at = dict(tally.flooded_at)
    flooded: Counter[Source] = Counter()
    admitted = []
    for event in live:
        source = _source(event, min(event.at, tally.now))  # what says that it is of later is of now
        counts[source] = counts.pop(source, 0) + 1
        if counts[source] <= limit:
            admitted.append(event)
        else:
            flooded[source] += 1
            flooded_at[_source(event, event.at)] = tally.now
    return admitted, flooded, replace(tally, counts=_last(counts), flooded_at=_last(flooded_at))


def without_flooded(tally: Tally, listed: Sequence[Event]) -> list[Event]:
    """Those of a reconciling list whose source has not flooded: it would bring what was only counted, as if missed."""
    return [event for event in listed if _source(event, event.at) not in tally.flooded_at]


def _source(event: Event, at: datetime) -> Source:
    return event.namespace, event.reason, at.astimezone(UTC).replace(second=0, microsecond=0)


def _last(remembered: dict[Source, V]) -> dict[Source, V]:
    return dict(list(remembered.items())[-ROOM:])
