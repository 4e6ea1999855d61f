"""The largest series of a metric, and one for the rest: clients invent queue names at will."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

#: Of one metric. A source has two metrics at most, and `measurement.MAX_SAMPLES` samples of each bucket.
MAX_SERIES = 4_000
OTHER = "other"

Key = tuple[str, ...]


def largest(counts: Mapping[Key, int], rest: Callable[[Key], Key]) -> Iterator[tuple[Key, int]]:
    """Yield the `MAX_SERIES` largest counts by their labels, and the sums of the others by `rest` of their labels."""
    ranked = Counter(counts).most_common()
    kept = Counter(dict(ranked[:MAX_SERIES]))
    for key, number in ranked[MAX_SERIES:]:
        kept[rest(key)] += number
    yield from kept.items()
