"""Whatever happens to the collector, every transition is counted once, and no value is made up."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from collector_analytics import measurement
from collector_analytics.builtin.tasks import Tasks
from collector_analytics.builtin.throughput import Throughput
from taskcore.domain.metrics import next_window
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample
from tests.collector_analytics.analytics_harness import NOON, AnalyticsHarness, clock, minutes
from tests.taskcore.db.db_harness import new_task


class Slow(MetricSource):
    """Returns one number, after `meanwhile` has been called."""

    name = "slow"

    def __init__(self, meanwhile: object = None) -> None:
        self.meanwhile = meanwhile

    def describe(self) -> Iterable[Metric]:
        return [Metric("m")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        if callable(self.meanwhile):
            self.meanwhile()
        return [Sample("m", 1 if self.meanwhile else 2)]


class Idle(MetricSource):
    """Finds out how long it may work elsewhere."""

    name = "idle"
    is_windowed = True
    found = ""

    def describe(self) -> Iterable[Metric]:
        return [Metric("m")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        self.found = ctx.database.scalar(text("SELECT current_setting('idle_in_transaction_session_timeout')"))
        return []


def submit_every_minute(analytics: AnalyticsHarness, start: datetime, end: datetime) -> None:
    analytics.sql(
        "INSERT INTO task_history (task_id, attempt, to_status, actor, at)"
        " SELECT 0, 0, 'queued', 'api', at"
        " FROM generate_series(CAST(:start AS timestamptz), CAST(:end AS timestamptz), interval '1 minute') AS at",
        start=start,
        end=end - minutes(1),
    )


def counts(analytics: AnalyticsHarness) -> dict[datetime, float]:
    return {key[0]: value for key, value in analytics.samples("submitted").items()}


def test_the_first_run_counts_only_the_last_complete_bucket(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(8), clock(13))

    analytics.measure(Throughput(), clock(12, 10))

    assert counts(analytics) == {clock(11, 30): 30}


def test_a_second_run_changes_nothing(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(8), clock(13))
    analytics.submit(new_task())
    for source in (Throughput(), Tasks()):
        analytics.measure(source, clock(12, 10))
    before = analytics.sql("SELECT * FROM analytics_sample ORDER BY 1, 2")

    analytics.submit(new_task(), new_task(type="another"))
    again = [analytics.measure(source, clock(12, 29)) for source in (Throughput(), Tasks())]

    assert again == [0, 0]
    assert analytics.sql("SELECT * FROM analytics_sample ORDER BY 1, 2") == before


def test_a_source_may_work_elsewhere_while_its_transaction_is_open(analytics: AnalyticsHarness) -> None:
    source = Idle()

    analytics.measure(source, clock(12, 10))

    assert source.found == "1h"


def test_concurrent_runs_count_everything_once(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(0), clock(12))
    analytics.measure(Throughput(), clock(0, 40))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: analytics.measure(Throughput(), clock(12, 1)), range(4)))

    assert counts(analytics) == {clock(0) + n * minutes(30): 30 for n in range(24)}


def test_a_run_that_is_overtaken_stores_nothing(analytics: AnalyticsHarness) -> None:
    slow = Slow(meanwhile=lambda: analytics.measure(Slow(), NOON))

    stored = analytics.measure(slow, NOON)

    assert stored == 0
    assert analytics.samples("m") == {(NOON,): 2}


def test_an_outage_is_filled_in_bucket_by_bucket(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(6), clock(12))
    analytics.measure(Throughput(), clock(7, 5))

    analytics.measure(Throughput(), clock(12, 5))

    assert counts(analytics) == {clock(6, 30) + n * minutes(30): 30 for n in range(11)}


def test_the_next_run_continues_after_too_many_windows(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(6), clock(12))
    analytics.measure(Throughput(), clock(6, 1), minutes(1))

    first = analytics.measure(Throughput(), clock(12), minutes(1))
    second = analytics.measure(Throughput(), clock(12), minutes(1))

    assert (first, second) == (measurement.MAX_WINDOWS, 359 - measurement.MAX_WINDOWS)


def test_a_gauge_has_no_samples_for_an_outage(analytics: AnalyticsHarness) -> None:
    analytics.submit(new_task())

    for at in (clock(6, 1), clock(12, 1)):
        analytics.measure(Tasks(), at)

    assert sorted(key[0] for key in analytics.samples("tasks")) == [clock(6), clock(12)]


def test_a_changed_interval_applies_to_gauges_from_the_next_bucket(analytics: AnalyticsHarness) -> None:
    analytics.submit(new_task())

    stored = [
        analytics.measure(Tasks(), clock(12, 1)),
        analytics.measure(Tasks(), clock(12, 11), minutes(10)),
        analytics.measure(Tasks(), clock(12, 21), minutes(30)),
        analytics.measure(Tasks(), clock(12, 31), minutes(30)),
    ]

    assert stored == [1, 1, 0, 1]
    assert sorted(key[0] for key in analytics.samples("tasks")) == [clock(12), clock(12, 10), clock(12, 30)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 86_400)), min_size=1, max_size=20))
def test_windows_have_no_gaps_for_any_intervals(steps: list[tuple[int, int]]) -> None:
    until = settled = NOON
    for elapsed_s, width_s in steps:
        settled += minutes(elapsed_s / 60)
        for _ in range(500):
            window = next_window(until, settled, minutes(width_s / 60))
            if window is None:
                break
            assert window.start == until
            assert until < window.end <= settled
            assert (window.end - window.start).total_seconds() <= width_s
            until = window.end


def test_a_changed_interval_counts_everything_once(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(8), clock(12))
    analytics.measure(Throughput(), clock(9, 1), minutes(30))

    for at, width in (((9, 41), 10), ((10, 31), 60), ((10, 59), 7), ((11, 46), 15), ((12, 1), 60)):
        analytics.measure(Throughput(), clock(*at), minutes(width))

    assert sum(counts(analytics).values()) == 30 + 3 * 60
    assert counts(analytics)[clock(9)] == 10


def test_any_sequence_of_runs_counts_each_submission_once(analytics: AnalyticsHarness) -> None:
    rng = random.Random(7)
    submit_every_minute(analytics, clock(2), clock(22))
    analytics.measure(Throughput(), clock(3))
    (first,) = counts(analytics)

    at = clock(3)
    with ThreadPoolExecutor(3) as pool:
        while at < clock(20):
            at += minutes(rng.choice([0, 1, 3, 10, 45, 180]))
            runs = [(at, minutes(rng.choice([1, 5, 7, 30, 50, 60]))) for _ in range(rng.randint(1, 3))]
            list(pool.map(lambda run: analytics.measure(Throughput(), *run), runs))

    (cursor,) = analytics.sql("SELECT until FROM analytics_cursor WHERE source = 'throughput'")
    assert analytics.total("submitted") == (cursor.until - first) / minutes(1)


def test_windows_are_exact_with_missing_and_unordered_ids(analytics: AnalyticsHarness) -> None:
    submit_every_minute(analytics, clock(8), clock(13))
    analytics.sql("DELETE FROM task_history WHERE id % 7 = 0")
    late = analytics.add_submitted(clock(12, 59) + minutes(0.9))
    analytics.add_history(late, clock(12, 59) + minutes(0.1), None, "queued")

    analytics.measure(Throughput(), clock(11, 1), minutes(60))
    analytics.measure(Throughput(), clock(13, 1), minutes(60))

    (row,) = analytics.sql("SELECT count(*) AS n FROM task_history WHERE at >= :since", since=clock(10))
    assert analytics.total("submitted") == row.n
