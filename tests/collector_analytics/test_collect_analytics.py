"""The task type collects from every source separately, with the current settings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest

from collector_analytics.collect_analytics import (
    CollectAnalytics,
    CollectAnalyticsParameters,
    CollectionFailed,
    collect_all,
)
from taskcore.db.live_settings import set_override
from taskcore.metrics import Kind, Metric, MetricContext, MetricSource, Sample
from taskcore.plugins.interrupts import InterruptCause, Interrupted
from tests.collector_analytics.analytics_harness import AnalyticsHarness
from tests.taskcore.db.db_harness import new_task


class FakeSource(MetricSource):
    """Returns `samples`, then raises `error` if there is one."""

    def __init__(self, name: str, samples: Sequence[Sample] = (), error: BaseException | None = None) -> None:
        self.name = name
        self.samples = samples
        self.error = error

    def describe(self) -> Iterable[Metric]:
        return [Metric(self.name, f"a metric of {self.name}", "apples", Kind.COUNT)]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        yield from self.samples
        if self.error is not None:
            raise self.error


def values(analytics: AnalyticsHarness, metric: str) -> list[float]:
    return sorted(analytics.samples(metric).values())


def test_all_installed_sources_are_collected(analytics: AnalyticsHarness) -> None:
    analytics.submit(new_task())

    result = CollectAnalytics().run(analytics.context(), CollectAnalyticsParameters())

    assert isinstance(result, dict)
    assert set(result["stored"]) == {"tasks", "throughput", "durations", "queues", "workers", "submitters"}
    assert values(analytics, "tasks") == [1]
    kinds = {row.name: (row.kind, row.unit) for row in analytics.sql("SELECT * FROM analytics_metric")}
    assert kinds["submitted"] == ("count", "")
    assert kinds["run_seconds"] == ("gauge", "seconds")


def test_a_failing_source_is_named_and_the_others_are_stored(analytics: AnalyticsHarness) -> None:
    sources = [
        FakeSource("first", [Sample("first", 1)]),
        FakeSource("broken", [Sample("broken", 1)], RuntimeError("out of\napples")),
        FakeSource("last", [Sample("last", 3)]),
    ]

    with pytest.raises(CollectionFailed, match=r"^broken: out of$"):
        collect_all(analytics.context(), analytics.engine, sources)

    assert [values(analytics, name) for name in ("first", "broken", "last")] == [[1], [], [3]]


def test_a_worker_without_a_configured_source_fails_the_task(analytics: AnalyticsHarness) -> None:
    with pytest.raises(CollectionFailed, match=r"^query:visitors: not in this worker's settings"):
        collect_all(
            analytics.context(), analytics.engine, [FakeSource("good", [Sample("good", 1)])], ["query:visitors", "good"]
        )

    assert values(analytics, "good") == [1]


def test_a_retry_stores_only_what_is_missing(analytics: AnalyticsHarness) -> None:
    good, flaky = FakeSource("good", [Sample("good", 1)]), FakeSource("flaky", error=RuntimeError("no"))
    set_interval(analytics, 86_400)
    with pytest.raises(CollectionFailed):
        collect_all(analytics.context(), analytics.engine, [good, flaky])

    flaky.samples, flaky.error, good.samples = [Sample("flaky", 2)], None, [Sample("good", 9)]
    result = collect_all(analytics.context(), analytics.engine, [good, flaky])

    assert result["stored"] == {"good": 0, "flaky": 1}
    assert (values(analytics, "good"), values(analytics, "flaky")) == ([1], [2])


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([Sample("bad", float("nan"))], "bad is nan"),
        ([Sample("another", 1)], "another is not among the metrics"),
        ([Sample("bad", 1, {"a": "b"}), Sample("bad", 2, {"a": "b"})], "bad has two values"),
        ([Sample("bad", 1, {"a": "\0"})], "NUL"),
    ],
)
def test_invalid_samples_are_refused(analytics: AnalyticsHarness, samples: list[Sample], message: str) -> None:
    with pytest.raises(CollectionFailed, match=message):
        collect_all(analytics.context(), analytics.engine, [FakeSource("bad", samples)])

    assert analytics.sql("SELECT * FROM analytics_sample") == []


def test_the_interval_is_read_for_each_run(analytics: AnalyticsHarness) -> None:
    set_interval(analytics, 7)

    result = collect_all(analytics.context(), analytics.engine, [])

    assert result["bucket_s"] == 7


def test_an_interrupt_is_not_an_error_of_the_source(analytics: AnalyticsHarness) -> None:
    ctx = analytics.context()
    collected: list[str] = []

    class Slow(FakeSource):
        def collect(self, ctx: MetricContext) -> Iterable[Sample]:
            ctx.task.cancellation.interrupt(InterruptCause.CANCEL)
            ctx.database.exec_driver_sql("SELECT pg_sleep(60)")
            return []

    class Second(FakeSource):
        def collect(self, ctx: MetricContext) -> Iterable[Sample]:
            collected.append(self.name)
            return []

    with pytest.raises(Interrupted):
        collect_all(ctx, analytics.engine, [Slow("slow"), Second("second")])

    assert collected == []


def set_interval(analytics: AnalyticsHarness, seconds: int) -> None:
    analytics.run(set_override(), setting="analytics.interval_s", given=str(seconds), by="test")
