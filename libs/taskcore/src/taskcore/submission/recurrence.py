"""When a schedule is due: a cron line in a time zone, or an interval. The line is read by cronsim, the clock by us.

Daylight saving, as Debian's cron has it: a fixed time that the clock jumps over comes right after the jump, and one
that the clock shows twice comes once, at the first. A line whose minute or hour begins with `*` follows real time: it
comes whenever the clock shows a time that it names.
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
#: Weekdays and leap days repeat within 40 years, even across 2100.
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
#: Of the machine, not of the world: they may differ between two that run schedules.
_LOCAL_ZONES = {"localtime", "posixrules", "Factory"}


class Recurrence(ABC):
    """Times that follow one another. All are aware and in UTC."""

    @abstractmethod
    def after(self, at: datetime) -> datetime | None:
        """The first one later than `at`; None: there is none."""

    @abstractmethod
    def between(self, after: datetime, until: datetime, limit: int) -> DueTimes:
        """Those later than `after` and not later than `until`. Up to `newest` are listed."""

    def upcoming(self, at: datetime, count: int) -> list[datetime]:
        """The first `count` later than `at`."""
        times: list[datetime] = []
        while len(times) < count and (following := self.after(times[-1] if times else at)) is not None:
            times.append(following)
        return times


def recurrence(
    *, cron: str | None = None, every_s: float | None = None, timezone: str = "UTC", anchor_at: datetime
) -> Recurrence:
    """Of `cron` in `timezone`, or of `every_s` seconds, counted from `anchor_at`; exactly one of the two.

    Raises:
        InvalidRecurrence: whose `field` is `cron`, `every_s` or `timezone`.
    """
    zone = _zone(timezone)
    if (cron is None) == (every_s is None):
        raise InvalidRecurrence("cron", "give either cron or every_s")
    if every_s is not None:
        return _interval(every_s, anchor_at)
    line = CronRecurrence(_parsed(str(cron)), zone)
    if line.after(anchor_at) is None:
        raise InvalidRecurrence("cron", f"{cron!r} never comes")
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


@dataclass(frozen=True, slots=True, eq=False)  # read once, and itself the key of what is cached
class ParsedCron:
    """A cron line as it was read. `walls` are the times of day, as the clock shows them."""

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
        # From the day before: where the clock goes back over midnight, its last hour comes again.
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
    """When `line` comes on `day`: in UTC, oldest first."""
    midnight, next_midnight = (datetime.combine(one, time(), zone) for one in (day, day + _DAY))
    if midnight.utcoffset() == next_midnight.utcoffset():
        start = midnight.astimezone(UTC)
        return tuple(start + wall for wall in line.times_of_day)
    shown = (midnight.replace(tzinfo=None) + wall for wall in line.times_of_day)
    return tuple(sorted({instant for wall in shown for instant in _instants(line, zone, wall)}))


def _instants(line: ParsedCron, zone: tzinfo, wall: datetime) -> list[datetime]:
    """When the clock shows `wall`, on a day when it is changed."""
    first, second = _readings(zone, wall)
    if first <= second:
        return [first] if line.is_fixed else [first, second]
    if not line.is_fixed:
        return []
    while first > second:  # the clock jumps over it
        wall += _MINUTE
        first, second = _readings(zone, wall)
    return [first]


def _readings(zone: tzinfo, wall: datetime) -> tuple[datetime, datetime]:
    """By the offset before a change and by the one after it: the later one first if the clock never shows it."""
    before, after = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return before, after


def _zone(name: str) -> ZoneInfo:
    try:
        if name not in _LOCAL_ZONES:
            return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        pass
    raise InvalidRecurrence("timezone", f"there is no time zone {name[:100]!r}; it is one such as Europe/Berlin or UTC")


def _interval(every_s: float, anchor_at: datetime) -> IntervalRecurrence:
    if not (math.isfinite(every_s) and MIN_EVERY_S <= every_s <= MAX_EVERY_S):
        raise InvalidRecurrence("every_s", f"is not a number of seconds from {MIN_EVERY_S:g} to {MAX_EVERY_S:.0f}")
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
        raise InvalidRecurrence("cron", f"is not a cron line, or never comes: {str(exc).lower()}") from exc
    except (ValueError, AssertionError) as exc:  # a number of thousands of digits, a step of what is no number
        raise InvalidRecurrence("cron", "is not a cron line") from exc
    walls = [timedelta(hours=hour, minutes=minute) for hour in calendar.hours for minute in calendar.minutes]
    return ParsedCron(tuple(sorted(walls)), not any(field.startswith("*") for field in fields[:2]), calendar)
