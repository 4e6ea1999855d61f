"""Pure: how many events of one reason a namespace may bring in a minute. What is beyond is only counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from collector_k8s.events import Event

Source = tuple[str, str]  # namespace, reason


@dataclass(frozen=True, slots=True)
class Tally:
    """What came in the minute that began at `minute`, and when each source flooded last."""

    minute: datetime | None = None
    counts: Mapping[Source, int] = field(default_factory=dict)
    flooded_at: Mapping[Source, datetime] = field(default_factory=dict)


def at_minute(tally: Tally, now: datetime, memory: timedelta) -> Tally:
    """`tally` as of `now`: counting begins anew with each minute; floods are forgotten after `memory`."""
    minute = now.replace(second=0, microsecond=0)
    if tally.minute == minute:
        return tally
    recent = {source: at for source, at in tally.flooded_at.items() if now - at < memory}
    return replace(tally, minute=minute, counts={}, flooded_at=recent)


def admit(tally: Tally, live: Sequence[Event], limit: int) -> tuple[list[Event], Counter[Source], Tally]:
    """Those of `live` that are to be stored, how many more there are of each source, and the tally with all of them."""
    counts = Counter(tally.counts)
    flooded: Counter[Source] = Counter()
    admitted = []
    for event in live:
        source = (event.namespace, event.reason)
        counts[source] += 1
        if counts[source] <= limit:
            admitted.append(event)
        else:
            flooded[source] += 1
    assert tally.minute is not None
    flooded_at = {**tally.flooded_at, **dict.fromkeys(flooded, tally.minute)}
    return admitted, flooded, replace(tally, counts=counts, flooded_at=flooded_at)


def without_flooded(tally: Tally, listed: Sequence[Event]) -> list[Event]:
    """Those of a reconciling list whose source has not flooded: it would bring what was only counted, as if missed."""
    return [event for event in listed if (event.namespace, event.reason) not in tally.flooded_at]
