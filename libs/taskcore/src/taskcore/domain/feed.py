"""A reader's position in the history: which rows it has received, and the cursor from which it can resume. Pure.

Ids are allocated in one order and committed in another, so visible rows have gaps, and a gap may still be filled. A gap
is closed once every transaction that was writing history when the gap was detected has ended, and a later read still
does not find its rows: their transaction was rolled back, or PostgreSQL crashed.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol


class HistoryRow(Protocol):
    """A row of the history. `floor` is the smallest id that has not been deleted."""

    @property
    def id(self) -> int: ...
    @property
    def floor(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids from `first` to `last` that are not visible although later ones are.

    `writers` are the transactions that may still fill it: they were writing history when it was detected, and still
    are. None: not looked up yet.
    """

    first: int
    last: int
    detected_at: float
    writers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a reader that has received every visible row up to `last_id`.

    `Position(cursor)` resumes from a cursor; `Position()` starts at the beginning.
    """

    last_id: int = 0
    gaps: tuple[Gap, ...] = ()

    @property
    def cursor(self) -> int:
        """Every row up to this id was received or will never exist: a reader that resumes from here misses nothing."""
        return self.gaps[0].first - 1 if self.gaps else self.last_id

    @property
    def rows_beyond_cursor(self) -> int:
        """The maximum number of rows received beyond the cursor. A reader that resumes receives them twice."""
        return self.last_id - self.cursor - sum(gap.last - gap.first + 1 for gap in self.gaps)

    def gap_age_s(self, now: float) -> float:
        """How long the cursor has been waiting for its oldest gap."""
        return max((now - gap.detected_at for gap in self.gaps), default=0.0)

    def with_writers(self, writers: frozenset[str]) -> Position:
        """Return the position with each gap's writers reduced to `writers`, those that write history now.

        The caller must list them after it has read the rows; otherwise a gap's own writer might be missing.
        """
        gaps = (replace(gap, writers=writers if gap.writers is None else gap.writers & writers) for gap in self.gaps)
        return replace(self, gaps=tuple(gaps))


@dataclass(frozen=True, slots=True)
class DeliveredRow:
    """A row, and the cursor of a reader that stops right after it."""

    cursor: int
    row: HistoryRow


@dataclass(frozen=True, slots=True)
class Page:
    """The rows to deliver now. `expired` is the first and last id of a range that may have been deleted unread."""

    rows: tuple[DeliveredRow, ...]
    position: Position
    expired: tuple[int, int] | None = None


def advance(position: Position, rows: Sequence[HistoryRow], *, is_complete: bool, now: float) -> Page:
    """Return the next page.

    `rows`, ordered by id, are those after `position.last_id` and inside its gaps: all of them if `is_complete`,
    otherwise the first ones. `now` is any monotonic clock, in seconds.
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
    """Return the deleted range, for a reader that resumes. A reader that starts at the beginning gets what there is."""
    return (position.last_id + 1, floor - 1) if 0 < position.last_id < floor - 1 else None


def _still_open(position: Position, ids: Sequence[int], read_to: int | None) -> Iterator[Gap]:
    """Yield what is left of the gaps. A gap without writers is closed as far as rows were read, up to `read_to`."""
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
