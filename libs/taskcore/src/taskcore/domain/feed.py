"""How far a reader of the history is: what it was shown, and the cursor from which it may resume. Pure.

Ids are drawn in one order and committed in another, so what is visible has gaps, and a gap may still be filled. It is
dead once everybody who wrote history when it was noticed has ended, and rows that were read after that still do not
show it: what would have filled it was rolled back, or PostgreSQL crashed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol


class HistoryRow(Protocol):
    """A row of the history. `floor` is the smallest id that is kept."""

    @property
    def id(self) -> int: ...
    @property
    def floor(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids from `first` to `last` that are not visible although later ones are.

    `writers` are those who may fill it: who wrote history after it was noticed, and still does. None: not asked yet.
    """

    first: int
    last: int
    detected_at: float
    writers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Of a reader that was shown every visible row up to `seen`. `Position(cursor)` resumes; `Position()` begins."""

    last_id: int = 0
    gaps: tuple[Gap, ...] = ()

    @property
    def cursor(self) -> int:
        """Up to here every row was shown, or will never be there: whoever resumes from here misses nothing."""
        return self.gaps[0].first - 1 if self.gaps else self.last_id

    @property
    def rows_beyond_cursor(self) -> int:
        """How many rows, at most, were shown beyond the cursor: a reader that resumes sees them twice."""
        return self.last_id - self.cursor - sum(gap.last - gap.first + 1 for gap in self.gaps)

    def gap_age_s(self, now: float) -> float:
        """For how long the cursor has been waiting for its oldest gap."""
        return max((now - gap.detected_at for gap in self.gaps), default=0.0)

    def with_writers(self, writers: frozenset[str]) -> Position:
        """`writers` write history now: asked for after the rows were read, or a gap's own writer might be left out."""
        gaps = (replace(gap, writers=writers if gap.writers is None else gap.writers & writers) for gap in self.gaps)
        return replace(self, gaps=tuple(gaps))


@dataclass(frozen=True, slots=True)
class DeliveredRow:
    """A row, and the cursor for a reader that stops right behind it."""

    cursor: int
    row: HistoryRow


@dataclass(frozen=True, slots=True)
class Page:
    """What to show now. `missed`: the first and last id of what may have been deleted before this reader saw it."""

    rows: tuple[DeliveredRow, ...]
    position: Position
    expired: tuple[int, int] | None = None


def advance(position: Position, rows: Sequence[HistoryRow], *, is_complete: bool, now: float) -> Page:
    """`rows`, by id, are those beyond `position.seen` and within its gaps: all there are, or the first of them.

    `now` is any clock that only goes forward, in seconds.
    """
    if not rows:
        return Page((), replace(position, gaps=tuple(_still_open(position, (), None))))
    read_to = None if is_complete else rows[-1].id
    ids = [row.id for row in rows]
    missed = _missed(position, rows[0].floor)
    known = position.last_id if missed is None else missed[1]
    gaps = *_still_open(position, ids, read_to), *_new_gaps(known, ids, now)
    moved = Position(max(position.last_id, ids[-1]), gaps)
    return Page(tuple(DeliveredRow(min(moved.cursor, row.id), row) for row in rows), moved, missed)


def _missed(position: Position, floor: int) -> tuple[int, int] | None:
    """Who begins gets what is kept; who resumes is told when that starts behind where it was."""
    return (position.last_id + 1, floor - 1) if 0 < position.last_id < floor - 1 else None


def _still_open(position: Position, ids: Sequence[int], read_to: int | None) -> Iterator[Gap]:
    """What is left of the gaps. Those without a writer are dead as far as the rows were read, to `read_to`."""
    for gap in position.gaps:
        for rest in _without(gap, ids):
            if gap.writers != frozenset():
                yield rest
            elif read_to is not None and rest.last > read_to:
                yield replace(rest, first=max(rest.first, read_to + 1))


def _without(gap: Gap, ids: Sequence[int]) -> Iterator[Gap]:
    first = gap.first
    for id_ in ids[bisect_left(ids, gap.first) : bisect_right(ids, gap.last)]:
        if first < id_:
            yield replace(gap, first=first, last=id_ - 1)
        first = id_ + 1
    if first <= gap.last:
        yield replace(gap, first=first)


def _new_gaps(seen: int, ids: Sequence[int], now: float) -> Iterator[Gap]:
    for id_ in ids:
        if id_ > seen + 1:
            yield Gap(seen + 1, id_ - 1, now)
        seen = max(seen, id_)
