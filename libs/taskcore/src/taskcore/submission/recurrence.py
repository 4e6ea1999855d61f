"""When a schedule is due: at the times of a cron line in a time zone, or at an interval.

cronsim parses the line. The clock changes are handled here, because cronsim misses times when a clock changes by half
an hour. The rules are those of Debian's cron: a fixed time that the clock skips fires right after the gap, and one that
the clock shows twice fires the first time only. A line whose minute or hour begins with `*` fires whenever the clock
shows a matching time.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from taskcore.domain.schedules import DueTimes
from taskcore.errors import InvalidRecurrence

MIN_EVERY_S = 1.0
MAX_EVERY_S = 366 * 86_400.0
MAX_CRON_LENGTH = 1_000
#: Weekdays and leap days repeat within 40 years, even across 2100, so that a line without a match by then has none.
SEARCH_HORIZON = timedelta(days=41 * 366)

NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
#: Zones that differ between machines.
_LOCAL_ZONES = {"localtime", "posixrules", "Factory"}


class Recurrence(ABC):
    """An infinite series of times, which are aware and in UTC."""

    @abstractmethod
    def after(self, at: datetime) -> datetime | None:
        """Return the first time later than `at`, or `None`."""

    @abstractmethod
    def between(self, after: datetime, until: datetime, limit: int) -> DueTimes:
        """Return the times later than `after` and not later than `until`: the newest up to `limit`, and a count."""

    def upcoming(self, at: datetime, count: int) -> list[datetime]:
        """Return the first `count` times later than `at`."""
        times: list[datetime] = []
        while len(times) < count and (following := self.after(times[-1] if times else at)) is not None:
            times.append(following)
        return times


def recurrence(
    *, cron: str | None = None, every_s: float | None = None, timezone: str = "UTC", anchor_at: datetime
) -> Recurrence:
    """Return the recurrence of `cron` in `timezone`, or of `every_s` seconds from `anchor_at`. Give one of the two.

    Raises:
        InvalidRecurrence: with the `field` `cron`, `every_s` or `timezone`.
    """
    zone = _zone(timezone)
    if (cron is None) == (every_s is None):
        raise InvalidRecurrence("cron", "give either cron or every_s")
    if every_s is not None:
        return _interval(every_s, anchor_at)
    line = CronRecurrence(_parsed(str(cron)), zone)
    if line.after(anchor_at) is None:
        raise InvalidRecurrence("cron", f"{cron!r} never matches")
    return line


@dataclass(frozen=True, slots=True)
class IntervalRecurrence(Recurrence):
    """`anchor` and every `every` after it."""

    every: timedelta
    anchor: datetime

    def after(self, at: datetime) -> datetime:
        return self._time(self._first_after(at))

    def between(self, after: datetime, until: datetime, limit: int) -> DueTimes:
        first, end = self._first_after(after), self._first_after(until)
        listed_from = max(first, end - limit)
        return DueTimes(tuple(map(self._time, range(listed_from, end))), max(0, listed_from - first))

    def _first_after(self, at: datetime) -> int:
        return max(0, (at - self.anchor) // self.every + 1)

    def _time(self, number: int) -> datetime:
        return self.anchor + number * self.every


@dataclass(frozen=True, slots=True, eq=False)  # hashed by identity, as the key of a cache
class ParsedCron:
    """A parsed cron line. `times_of_day` are wall clock times. `is_fixed` lines have no `*` in minute or hour."""

    times_of_day: tuple[timedelta, ...]
    is_fixed: bool
    calendar: CronSim

    def matches(self, day: date) -> bool:
        return day.month in self.calendar.months and self.calendar.match_day(day)


@dataclass(frozen=True, slots=True)
class CronRecurrence(Recurrence):
    line: ParsedCron
    zone: tzinfo

    def after(self, at: datetime) -> datetime | None:
        # From the day before: when the clock goes back over midnight, its last hour is repeated.
        for day in self._days(self._date(at) - _DAY, self._date(at + SEARCH_HORIZON)):
            times = _times(self.line, self.zone, day)
            number = bisect_right(times, at)
            if number < len(times):
                return times[number]
        return None

    def between(self, after: datetime, until: datetime, limit: int) -> DueTimes:
        listed: list[datetime] = []
        earlier = 0
        for day in self._days(self._date(after) - _DAY, self._date(until), newest_first=True):
            times = [
                time for time in _times(self.line, self.zone, day) if after < time <= until and time not in listed[-1:]
            ]
            room = min(len(times), limit - len(listed))
            listed += reversed(times[len(times) - room :])
            earlier += len(times) - room
        return DueTimes(tuple(reversed(listed)), earlier)

    def _date(self, at: datetime) -> date:
        return at.astimezone(self.zone).date()

    def _days(self, first: date, last: date, *, newest_first: bool = False) -> Iterator[date]:
        numbers = range((last - first).days + 1)
        days = (first + number * _DAY for number in (reversed(numbers) if newest_first else numbers))
        return (day for day in days if self.line.matches(day))


@lru_cache(maxsize=32)
def _times(line: ParsedCron, zone: tzinfo, day: date) -> tuple[datetime, ...]:
    """Return the times of `line` on `day`, oldest first."""
    midnight, next_midnight = (datetime.combine(one, time(), zone) for one in (day, day + _DAY))
    if midnight.utcoffset() == next_midnight.utcoffset():
        start = midnight.astimezone(UTC)
        return tuple(start + wall for wall in line.times_of_day)
    shown = (midnight.replace(tzinfo=None) + wall for wall in line.times_of_day)
    return tuple(sorted({instant for wall in shown for instant in _instants(line, zone, wall)}))


def _instants(line: ParsedCron, zone: tzinfo, wall: datetime) -> list[datetime]:
    """Return the times at which `line` fires for the wall clock time `wall`, on a day with a clock change."""
    first, second = _readings(zone, wall)
    if first <= second:
        return [first] if line.is_fixed else [first, second]
    if not line.is_fixed:
        return []
    while first > second:  # the clock skips this time
        wall += _MINUTE
        first, second = _readings(zone, wall)
    return [first]


def _readings(zone: tzinfo, wall: datetime) -> tuple[datetime, datetime]:
    """Return `wall` by the offset before a change, and by the one after it. The first is later if `wall` is skipped."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return before, after


def _zone(name: str) -> ZoneInfo:
    try:
        if name not in _LOCAL_ZONES:
            return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        pass
    raise InvalidRecurrence("timezone", f"unknown time zone {name[:100]!r}; examples are Europe/Berlin and UTC")


def _interval(every_s: float, anchor_at: datetime) -> IntervalRecurrence:
    if not (math.isfinite(every_s) and MIN_EVERY_S <= every_s <= MAX_EVERY_S):
        raise InvalidRecurrence("every_s", f"must be a number of seconds from {MIN_EVERY_S:g} to {MAX_EVERY_S:.0f}")
    return IntervalRecurrence(timedelta(seconds=every_s), anchor_at.astimezone(UTC))


@lru_cache(maxsize=4_096)
def _parsed(cron: str) -> ParsedCron:
    fields = NICKNAMES.get(cron.strip().lower(), cron).split()
    if len(fields) != 5 or len(cron) > MAX_CRON_LENGTH:
        raise InvalidRecurrence(
            "cron", "is not a cron line: minute, hour, day of month, month and weekday, or a name such as @daily"
        )
    try:
        calendar = CronSim(" ".join(fields), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError as exc:
        raise InvalidRecurrence("cron", f"is not a cron line, or never matches: {str(exc).lower()}") from exc
    except (ValueError, AssertionError) as exc:  # a number with thousands of digits, a step that is no number
        raise InvalidRecurrence("cron", "is not a cron line") from exc
    walls = [timedelta(hours=hour, minutes=minute) for hour in calendar.hours for minute in calendar.minutes]
    return ParsedCron(tuple(sorted(walls)), not any(field.startswith("*") for field in fields[:2]), calendar)
