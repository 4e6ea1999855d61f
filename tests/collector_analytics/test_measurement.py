"""Whatever the collector goes through, what happened is counted once, and nothing is made up."""

from __future__ import annotations

import random
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from collector_analytics import measurement
from collector_analytics.builtin.tasks import Tasks
from collector_analytics.builtin.throughput import Throughput
from taskcore.domain.metrics import next_window
from taskcore.metrics import Metric, MetricContext, MetricSource, Sample
from tests.collector_analytics.analytics_harness import NOON, AnalyticsHarness, clock, minutes
from tests.taskcore.db.db_harness import new_task


class Slow(MetricSource):
    """Asks the database for one number, and finds on the way that another collector is at it."""

    name = "slow"

    def __init__(self, meanwhile: object = None) -> None:
        self.meanwhile = meanwhile

    def describe(self) -> Iterable[Metric]:
        return [Metric("m")]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        if callable(self.meanwhile):
            self.meanwhile()
        return [Sample("m", 1 if self.meanwhile else 2)]


def submit_every_minute(house: AnalyticsHarness, begin: datetime, end: datetime) -> None:
    house.sql(
        "INSERT INTO task_history (task_id, attempt, to_status, actor, at)"
        " SELECT 0, 0, 'queued', 'api', at"
        " FROM generate_series(CAST(:begin AS timestamptz), CAST(:end AS timestamptz), interval '1 minute') AS at",
        begin=begin,
        end=end - minutes(1),
    )


def counts(house: AnalyticsHarness) -> dict[datetime, float]:
    return {key[0]: value for key, value in house.samples("submitted").items()}


def test_the_first_run_counts_the_last_complete_bucket_and_nothing_before(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(8), clock(13))

    house.measure(Throughput(), clock(12, 10))

    assert counts(house) == {clock(11, 30): 30}


def test_running_twice_changes_nothing(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(8), clock(13))
    house.submit(new_task())
    for source in (Throughput(), Tasks()):
        house.measure(source, clock(12, 10))
    before = house.sql("SELECT * FROM analytics_sample ORDER BY 1, 2")

    house.submit(new_task(), new_task(type="another"))
    again = [house.measure(source, clock(12, 29)) for source in (Throughput(), Tasks())]

    assert again == [0, 0]
    assert house.sql("SELECT * FROM analytics_sample ORDER BY 1, 2") == before


def test_two_at_once_count_everything_once(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(0), clock(12))
    house.measure(Throughput(), clock(0, 40))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: house.measure(Throughput(), clock(12, 1)), range(4)))

    assert counts(house) == {clock(0) + n * minutes(30): 30 for n in range(24)}


def test_who_is_overtaken_while_it_measures_stores_nothing(house: AnalyticsHarness) -> None:
    slow = Slow(meanwhile=lambda: house.measure(Slow(), NOON))

    stored = house.measure(slow, NOON)

    assert stored == 0
    assert house.samples("m") == {(NOON,): 2}


def test_an_outage_is_filled_in_bucket_by_bucket(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(6), clock(12))
    house.measure(Throughput(), clock(7, 5))

    house.measure(Throughput(), clock(12, 5))

    assert counts(house) == {clock(6, 30) + n * minutes(30): 30 for n in range(11)}


def test_what_is_too_much_for_one_run_is_done_by_the_next(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(6), clock(12))
    house.measure(Throughput(), clock(6, 1), minutes(1))

    first = house.measure(Throughput(), clock(12), minutes(1))
    second = house.measure(Throughput(), clock(12), minutes(1))

    assert (first, second) == (measurement.MAX_WINDOWS, 359 - measurement.MAX_WINDOWS)


def test_a_gauge_is_not_made_up_for_an_outage(house: AnalyticsHarness) -> None:
    house.submit(new_task())

    for at in (clock(6, 1), clock(12, 1)):
        house.measure(Tasks(), at)

    assert sorted(key[0] for key in house.samples("tasks")) == [clock(6), clock(12)]


def test_a_changed_interval_holds_for_gauges_from_the_next_bucket_on(house: AnalyticsHarness) -> None:
    house.submit(new_task())

    stored = [
        house.measure(Tasks(), clock(12, 1)),
        house.measure(Tasks(), clock(12, 11), minutes(10)),
        house.measure(Tasks(), clock(12, 21), minutes(30)),
        house.measure(Tasks(), clock(12, 31), minutes(30)),
    ]

    assert stored == [1, 1, 0, 1]
    assert sorted(key[0] for key in house.samples("tasks")) == [clock(12), clock(12, 10), clock(12, 30)]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(1, 86_400)), min_size=1, max_size=20))
def test_windows_of_any_intervals_follow_on_each_other_without_a_gap(steps: list[tuple[int, int]]) -> None:
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


def test_a_changed_interval_counts_nothing_twice_and_leaves_nothing_out(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(8), clock(12))
    house.measure(Throughput(), clock(9, 1), minutes(30))

    for at, width in (((9, 41), 10), ((10, 31), 60), ((10, 59), 7), ((11, 46), 15), ((12, 1), 60)):
        house.measure(Throughput(), clock(*at), minutes(width))

    assert sum(counts(house).values()) == 30 + 3 * 60
    assert counts(house)[clock(9)] == 10


def test_whatever_runs_when_and_however_often_each_submission_counts_once(house: AnalyticsHarness) -> None:
    rng = random.Random(7)
    submit_every_minute(house, clock(2), clock(22))
    house.measure(Throughput(), clock(3))
    (first,) = counts(house)

    at = clock(3)
    with ThreadPoolExecutor(3) as pool:
        while at < clock(20):
            at += minutes(rng.choice([0, 1, 3, 10, 45, 180]))
            runs = [(at, minutes(rng.choice([1, 5, 7, 30, 50, 60]))) for _ in range(rng.randint(1, 3))]
            list(pool.map(lambda run: house.measure(Throughput(), *run), runs))

    (cursor,) = house.sql("SELECT until FROM analytics_cursor WHERE source = 'throughput'")
    assert house.total("submitted") == (cursor.until - first) / minutes(1)


def test_ids_that_are_out_of_order_and_gone_are_found_all_the_same(house: AnalyticsHarness) -> None:
    submit_every_minute(house, clock(8), clock(13))
    house.sql("DELETE FROM task_history WHERE id % 7 = 0")
    late = house.add_submitted(clock(12, 59) + minutes(0.9))
    house.add_history(late, clock(12, 59) + minutes(0.1), None, "queued")

    house.measure(Throughput(), clock(11, 1), minutes(60))
    house.measure(Throughput(), clock(13, 1), minutes(60))

    (all_of_them,) = house.sql("SELECT count(*) AS n FROM task_history WHERE at >= :since", since=clock(10))
    assert house.total("submitted") == all_of_them.n
