"""The task that measures: every source on its own, under the settings as they are now."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from collector_analytics.collect_analytics import (
    CollectAnalytics,
    CollectAnalyticsParameters,
    CollectionFailed,
    collect_all,
)
from taskcore.db.overrides import set_override
from taskcore.metrics import Kind, Metric, MetricContext, MetricSource, Sample
from taskcore.plugins.cancellation import InterruptCause, Interrupted
from tests.collector_analytics.analytics_harness import AnalyticsHarness
from tests.taskcore.db.db_harness import new_task


class Made(MetricSource):
    """Answers `samples`, then raises `error` if there is one."""

    def __init__(self, name: str, samples: Sequence[Sample] = (), error: BaseException | None = None) -> None:
        self.name = name
        self.samples = samples
        self.error = error

    def describe(self) -> Iterable[Metric]:
        return [Metric(self.name, f"what {self.name} says", "apples", Kind.COUNT)]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        yield from self.samples
        if self.error is not None:
            raise self.error


def values(house: AnalyticsHarness, metric: str) -> list[float]:
    return sorted(house.samples(metric).values())


def test_everything_that_is_installed_is_measured(house: AnalyticsHarness) -> None:
    house.submit(new_task())

    result = CollectAnalytics().run(house.context(), CollectAnalyticsParameters())

    assert isinstance(result, dict)
    assert set(result["stored"]) == {"tasks", "throughput", "durations", "queues", "workers", "submitters"}
    assert values(house, "tasks") == [1]
    kinds = {row.name: (row.kind, row.unit) for row in house.sql("SELECT * FROM analytics_metric")}
    assert kinds["submitted"] == ("count", "")
    assert kinds["run_seconds"] == ("gauge", "seconds")


def test_a_source_that_fails_leaves_the_others_and_is_named(house: AnalyticsHarness) -> None:
    sources = [
        Made("first", [Sample("first", 1)]),
        Made("broken", [Sample("broken", 1)], RuntimeError("out of\napples")),
        Made("last", [Sample("last", 3)]),
    ]

    with pytest.raises(CollectionFailed, match=r"^broken: out of$"):
        collect_all(house.context(), house.engine, sources)

    assert [values(house, name) for name in ("first", "broken", "last")] == [[1], [], [3]]


def test_a_worker_that_does_not_know_the_operator_s_metrics_says_so(house: AnalyticsHarness) -> None:
    with pytest.raises(CollectionFailed, match=r"^query:visitors: this worker's settings do not have it"):
        collect_all(house.context(), house.engine, [Made("good", [Sample("good", 1)])], ["query:visitors", "good"])

    assert values(house, "good") == [1]


def test_the_next_attempt_adds_only_what_failed(house: AnalyticsHarness) -> None:
    good, flaky = Made("good", [Sample("good", 1)]), Made("flaky", error=RuntimeError("no"))
    interval(house, 86_400)
    with pytest.raises(CollectionFailed):
        collect_all(house.context(), house.engine, [good, flaky])

    flaky.samples, flaky.error, good.samples = [Sample("flaky", 2)], None, [Sample("good", 9)]
    result = collect_all(house.context(), house.engine, [good, flaky])

    assert result["stored"] == {"good": 0, "flaky": 1}
    assert (values(house, "good"), values(house, "flaky")) == ([1], [2])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([Sample("bad", float("nan"))], "bad is nan"),
        ([Sample("another", 1)], "another is not among the metrics"),
        ([Sample("bad", 1, {"a": "b"}), Sample("bad", 2, {"a": "b"})], "bad has two values"),
        ([Sample("bad", 1, {"a": "\0"})], "NUL"),
    ],
)
def test_samples_that_mean_nothing_are_refused(house: AnalyticsHarness, samples: list[Sample], message: str) -> None:
    with pytest.raises(CollectionFailed, match=message):
        collect_all(house.context(), house.engine, [Made("bad", samples)])

    assert house.sql("SELECT * FROM analytics_sample") == []


def test_what_somebody_has_set_while_it_runs_is_how_long_a_bucket_is(house: AnalyticsHarness) -> None:
    interval(house, 7)

    result = collect_all(house.context(), house.engine, [])

    assert result["bucket_s"] == 7


def test_an_interrupt_is_no_source_s_error(house: AnalyticsHarness) -> None:
    ctx = house.context()
    reached: list[str] = []

    class Waits(Made):
        def collect(self, ctx: MetricContext) -> Iterable[Sample]:
            ctx.task.cancellation.interrupt(InterruptCause.CANCEL)
            ctx.database.exec_driver_sql("SELECT pg_sleep(60)")
            return []

    class After(Made):
        def collect(self, ctx: MetricContext) -> Iterable[Sample]:
            reached.append(self.name)
            return []

    with pytest.raises(Interrupted):
        collect_all(ctx, house.engine, [Waits("waits"), After("after")])

    assert reached == []


def interval(house: AnalyticsHarness, seconds: int) -> None:
    house.run(set_override(), setting="analytics.interval_s", given=str(seconds), by="test")
