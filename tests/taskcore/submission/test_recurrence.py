"""When a schedule is due, clock changes included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from taskcore.errors import InvalidRecurrence
from taskcore.submission.recurrence import NICKNAMES, Recurrence, recurrence

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Havana")
LINES = (
    "* * * * *",
    "*/15 * * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "0 */6 * * *",
    "15 0 1 * MON",
    "0 12 * FEB-APR,OCT SUN",
    "59 23 L * *",
    "@hourly",
    "@daily",
)


def cron(line: str, zone: str) -> Recurrence:
    return recurrence(cron=line, timezone=zone, anchor_at=NEW_YEAR)


def shown(line: str, zone: str, since: str, count: int) -> list[str]:
    """Return the first times after `since`, as the clock of `zone` shows them, with the offset."""
    start = datetime.fromisoformat(since).replace(tzinfo=ZoneInfo(zone))
    return [
        time.astimezone(ZoneInfo(zone)).strftime("%d %H:%M %z")
        for time in cron(line, zone).upcoming(start.astimezone(UTC), count)
    ]


def test_skipped_fixed_time_fires_right_after_the_gap() -> None:
    assert shown("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", 2) == ["29 03:00 +0200", "30 02:30 +0200"]
    assert shown("15,45 2 * * *", "America/New_York", "2026-03-08 00:00", 2) == ["08 03:00 -0400", "09 02:15 -0400"]
    assert shown("10 2 * * *", "Australia/Lord_Howe", "2026-10-04 00:00", 2) == ["04 02:30 +1100", "05 02:10 +1100"]


def test_repeated_fixed_time_fires_once() -> None:
    assert shown("30 2 * * *", "Europe/Berlin", "2026-10-25 00:00", 2) == ["25 02:30 +0200", "26 02:30 +0100"]
    assert shown("30 1 * * *", "America/New_York", "2026-11-01 00:00", 2) == ["01 01:30 -0400", "02 01:30 -0500"]
    assert shown("45 1 * * *", "Australia/Lord_Howe", "2026-04-05 00:00", 2) == ["05 01:45 +1100", "06 01:45 +1030"]


def test_fixed_time_does_not_fire_again_in_the_repeated_hour() -> None:
    repeated = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 in Berlin, for the second time

    following = cron("30 2 * * *", "Europe/Berlin").after(repeated)

    assert following == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_wildcard_line_follows_real_time() -> None:
    half_past = "*/30 * * * *"
    assert shown(half_past, "Europe/Berlin", "2026-03-29 01:00", 3) == [
        "29 01:30 +0100",
        "29 03:00 +0200",
        "29 03:30 +0200",
    ]
    assert shown(half_past, "Europe/Berlin", "2026-10-25 01:30", 5) == [
        "25 02:00 +0200",
        "25 02:30 +0200",
        "25 02:00 +0100",
        "25 02:30 +0100",
        "25 03:00 +0100",
    ]


def test_every_sixth_hour_fires_on_a_half_hour_clock_change() -> None:
    assert shown("0 */6 * * *", "Australia/Lord_Howe", "2026-10-04 00:00", 2) == ["04 06:00 +1100", "04 12:00 +1100"]
    assert shown("0 */6 * * *", "Australia/Lord_Howe", "2026-04-05 00:00", 2) == ["05 06:00 +1030", "05 12:00 +1030"]


def test_clock_change_at_midnight() -> None:
    havana = "America/Havana"  # from 00:00 to 01:00 in March, from 01:00 to 00:00 in November
    assert shown("0 0 * * *", havana, "2026-03-07 12:00", 2) == ["08 01:00 -0400", "09 00:00 -0400"]
    assert shown("0 0 * * *", havana, "2026-10-31 12:00", 2) == ["01 00:00 -0400", "02 00:00 -0500"]
    assert shown("0 * * * *", havana, "2026-10-31 23:30", 3) == ["01 00:00 -0400", "01 00:00 -0500", "01 01:00 -0500"]


@settings(deadline=None)
@given(
    line=st.sampled_from([NICKNAMES.get(line, line) for line in LINES]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
)
def test_agrees_with_cronsim_on_whole_hour_clock_changes(line: str, zone: str, start: datetime) -> None:
    start = start.replace(tzinfo=UTC, microsecond=0)
    theirs = (time.astimezone(UTC) for time in CronSim(line, start.astimezone(ZoneInfo(zone))))
    later = islice((time for time in theirs if time > start), 30)

    assert cron(line, zone).upcoming(start, 20) == sorted(set(later))[:20]


@settings(deadline=None)
@given(
    line=st.sampled_from(LINES),
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
    hours=st.integers(1, 30),
    newest=st.integers(1, 50),
)
def test_between_agrees_with_repeated_after(line: str, zone: str, start: datetime, hours: int, newest: int) -> None:
    times = cron(line, zone)
    after = start.replace(tzinfo=UTC)
    until = after + timedelta(hours=hours)

    between = times.between(after, until, newest)

    each: list[datetime] = []
    while (following := times.after(each[-1] if each else after)) is not None and following <= until:
        each.append(following)
    assert list(between.times) == each[-newest:]
    assert between.earlier_count == len(each[:-newest])


@settings(deadline=None)
@given(
    every_s=st.floats(1, 1e6),
    start=st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)),  # noqa: DTZ001
    newest=st.integers(1, 10),
)
def test_interval_counts_from_its_anchor_without_drift(every_s: float, start: datetime, newest: int) -> None:
    after = start.replace(tzinfo=UTC)
    times = recurrence(every_s=every_s, anchor_at=NEW_YEAR)

    upcoming = times.upcoming(after, 20)

    every = timedelta(seconds=every_s)
    assert all((time - NEW_YEAR) % every == timedelta(0) for time in upcoming)
    assert upcoming[0] > after
    assert upcoming[0] - every <= after or upcoming[0] == NEW_YEAR
    between = times.between(after, upcoming[-1], newest)
    assert (list(between.times), between.earlier_count) == (upcoming[-newest:], 20 - newest)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a b c d e",
        "@reboot",
        "0 0 30 2 *",
        "0 0 31 4,6 *",
        "0 0 L/2 * * x",
        "1" * 5_000 + " * * * *",
    ],
)
def test_line_that_is_invalid_or_never_matches_is_refused(line: str) -> None:
    with pytest.raises(InvalidRecurrence) as refused:
        cron(line, "UTC")

    assert refused.value.field == "cron"


def test_day_that_matches_once_in_28_years_is_found() -> None:
    assert cron("0 0 * 2 MON#5", "UTC").upcoming(NEW_YEAR, 1) == [datetime(2044, 2, 29, tzinfo=UTC)]


@pytest.mark.parametrize("zone", ["", "Mars/Base", "Europe", "../etc/passwd", "europe/berlin", "a\0", "x" * 5_000])
def test_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(InvalidRecurrence) as refused:
        cron("@daily", zone)

    assert refused.value.field == "timezone"


@pytest.mark.parametrize("every_s", [0.0, 0.5, -1.0, float("nan"), float("inf"), 1e12])
def test_interval_out_of_range_is_refused(every_s: float) -> None:
    with pytest.raises(InvalidRecurrence) as refused:
        recurrence(every_s=every_s, anchor_at=NEW_YEAR)

    assert refused.value.field == "every_s"


def test_exactly_one_of_cron_and_interval_is_required() -> None:
    for both in ({"cron": "@daily", "every_s": 5.0}, {}):
        with pytest.raises(InvalidRecurrence):
            recurrence(**both, anchor_at=NEW_YEAR)  # type: ignore[arg-type]
