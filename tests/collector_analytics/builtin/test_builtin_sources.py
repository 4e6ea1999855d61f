"""Each builtin metric, for a known history."""

from __future__ import annotations

import pytest

from collector_analytics.builtin.durations import Durations
from collector_analytics.builtin.largest import MAX_SERIES, OTHER
from collector_analytics.builtin.queues import Queues
from collector_analytics.builtin.submitters import Submitters
from collector_analytics.builtin.tasks import Tasks
from collector_analytics.builtin.throughput import Throughput
from collector_analytics.builtin.workers import Workers
from taskcore.db.tasks import actions
from taskcore.metrics import MetricSource
from tests.collector_analytics.analytics_harness import NOON, AnalyticsHarness, clock, minutes
from tests.taskcore.db.db_harness import new_task


def test_tasks_are_counted_by_status_type_and_queue(analytics: AnalyticsHarness) -> None:
    analytics.submit(new_task(), new_task(), new_task(queue="slow"), new_task(type="mail"))
    (running,) = analytics.submit(new_task())
    analytics.claim([running])

    analytics.measure(Tasks(), NOON)

    assert analytics.samples("tasks") == {  # queue, status, type
        (NOON, "default", "queued", "noop"): 2,
        (NOON, "slow", "queued", "noop"): 1,
        (NOON, "default", "queued", "mail"): 1,
        (NOON, "default", "running", "noop"): 1,
    }


@pytest.mark.parametrize("source", [Tasks(), Queues()])
def test_series_beyond_the_largest_are_one(analytics: AnalyticsHarness, source: MetricSource) -> None:
    many = MAX_SERIES + 3
    analytics.submit(*[new_task(queue=f"invented-{number}") for number in range(many)], new_task(queue="invented-7"))

    analytics.measure(source, NOON)

    metric = "tasks" if isinstance(source, Tasks) else "queue_depth"
    numbers = {key[1]: number for key, number in analytics.samples(metric).items()}
    assert (numbers["invented-7"], numbers[OTHER], len(numbers)) == (2, 3, MAX_SERIES + 1)
    assert sum(numbers.values()) == many + 1


def test_only_a_queue_with_waiting_tasks_has_an_age(analytics: AnalyticsHarness) -> None:
    old, _ = analytics.submit(new_task(), new_task())
    analytics.sql("UPDATE outbox SET available_at = now() - interval '1 hour' WHERE task_id = :id", id=old)
    (claimed,) = analytics.submit(new_task(queue="empty"))
    analytics.claim([claimed])
    analytics.submit(new_task(queue="empty", run_at=clock(12).replace(year=2999)))

    analytics.measure(Queues(), NOON)

    assert analytics.samples("queue_depth") == {(NOON, "default"): 2, (NOON, "empty"): 0}
    assert analytics.samples("queue_oldest_age_seconds") == {(NOON, "default"): pytest.approx(3600, abs=60)}


def test_only_live_workers_and_their_tasks_are_counted(analytics: AnalyticsHarness) -> None:
    alive, dead = analytics.register_worker(), analytics.register_worker()
    analytics.sql("UPDATE worker SET seen_at = now() - interval '1 hour' WHERE id = :id", id=dead)
    analytics.claim(analytics.submit(new_task(), new_task()), worker=alive)
    analytics.claim(analytics.submit(new_task()), worker=dead)

    analytics.measure(Workers(), NOON)

    found = {name: analytics.samples(name) for name in ("workers_live", "slots", "slots_in_use")}
    assert found == {"workers_live": {(NOON,): 1}, "slots": {(NOON,): 8}, "slots_in_use": {(NOON,): 2}}


def test_submitted_and_finished_tasks_are_counted_in_their_window(analytics: AnalyticsHarness) -> None:
    before = analytics.add_submitted(clock(11, 29))
    tasks = [analytics.add_submitted(clock(11, minute)) for minute in (30, 45, 59)]
    mail = analytics.add_submitted(clock(11, 50), type="mail", queue="post")
    analytics.add_submitted(clock(12))
    analytics.add_history(before, clock(11, 40), "running", "succeeded", attempt=1)
    analytics.add_history(tasks[0], clock(11, 41), "running", "failed", attempt=1)
    analytics.add_history(tasks[0], clock(11, 50), "failed", "queued", attempt=1)
    analytics.add_history(tasks[0], clock(11, 51), "running", "failed", attempt=2)
    analytics.add_history(mail, clock(12, 1), "running", "succeeded", attempt=1)

    analytics.measure(Throughput(), clock(12, 10))

    bucket = clock(11, 30)
    assert analytics.samples("submitted") == {(bucket, "default", "noop"): 3, (bucket, "post", "mail"): 1}
    assert analytics.samples("finished") == {(bucket, "succeeded", "noop"): 1, (bucket, "failed", "noop"): 2}


def test_a_deleted_task_is_counted_with_its_type(analytics: AnalyticsHarness) -> None:
    task_id = analytics.add_submitted(clock(11, 40), type="mail", queue="post")
    analytics.add_history(task_id, clock(11, 40), "queued", "running", attempt=1)
    analytics.add_history(task_id, clock(11, 41), "running", "succeeded", attempt=1)
    analytics.sql("UPDATE task SET status = 'succeeded' WHERE id = :id", id=task_id)
    analytics.run(actions.delete_task(), task=task_id, by="api")

    for source in (Throughput(), Durations()):
        analytics.measure(source, clock(12, 10))

    assert analytics.samples("submitted") == {(clock(11, 30), "post", "mail"): 1}
    assert analytics.samples("finished") == {(clock(11, 30), "succeeded", "mail"): 1}
    assert analytics.samples("run_seconds")[clock(11, 30), "p50", "mail"] == 60


def test_waits_and_runs_are_reported_as_percentiles(analytics: AnalyticsHarness) -> None:
    for seconds in range(1, 101):
        task_id = analytics.add_submitted(clock(11, 30))
        claimed_at = clock(11, 30) + minutes(seconds / 60)
        analytics.add_history(task_id, claimed_at, "queued", "running", attempt=1)
        analytics.add_history(task_id, claimed_at + minutes(2), "running", "succeeded", attempt=1)
        analytics.sql(
            "INSERT INTO task_attempt VALUES (:id, 1, 1, :at, CAST(:at AS timestamptz) + interval '2 seconds', 'ok')",
            id=task_id,
            at=claimed_at,
        )

    analytics.measure(Durations(), clock(12, 10))

    waits, runs = analytics.samples("queue_wait_seconds"), analytics.samples("run_seconds")
    bucket = clock(11, 30)
    assert [waits[bucket, quantile, "noop"] for quantile in ("p50", "p95", "p99")] == [50.5, 95.05, 99.01]
    assert runs == {(bucket, quantile, "noop"): 2 for quantile in ("p50", "p95", "p99")}


def test_a_wait_starts_when_the_attempt_is_due(analytics: AnalyticsHarness) -> None:
    delayed = analytics.add_task(type="delayed", run_at=clock(11, 40))
    analytics.add_history(delayed, clock(9), None, "scheduled")
    retried = analytics.add_task(type="retried")
    analytics.add_history(retried, clock(10), "running", "retrying", attempt=1, details='{"retry_in_s": 5400}')
    analytics.add_history(retried, clock(11, 33), "retrying", "running", attempt=2)
    analytics.add_history(retried, clock(11, 34), "running", "cancelling", attempt=2)
    analytics.add_history(retried, clock(11, 35), "cancelling", "cancelled", attempt=2)
    analytics.add_history(delayed, clock(11, 41), "scheduled", "running", attempt=1)
    analytics.add_history(delayed, clock(11, 42), "running", "retrying", attempt=1, details='{"retry_in_s": 120}')

    analytics.measure(Durations(), clock(12, 10))

    waits, runs = analytics.samples("queue_wait_seconds"), analytics.samples("run_seconds")
    assert {key[2]: value for key, value in waits.items()} == {"delayed": 60, "retried": 180}
    assert {key[2]: value for key, value in runs.items()} == {"delayed": 60, "retried": 120}


def test_submitters_are_counted_after_the_day_and_known_ones_are_not_new(analytics: AnalyticsHarness) -> None:
    yesterday = NOON - minutes(24 * 60)
    analytics.add_submitted(yesterday, by="user:ann")
    analytics.measure(Submitters(), clock(10, 10))
    for by in ("user:ann", "user:bob", "user:bob", "user:cy", "api", "schedule:1"):
        analytics.add_submitted(clock(11), by=by)
    analytics.measure(Submitters(), clock(23, 59))
    midnight = clock(0)
    before_midnight = {bucket for (bucket,) in analytics.samples("submitters_per_day")}

    analytics.measure(Submitters(), midnight + minutes(24 * 60 + 1))

    assert before_midnight == set()
    assert analytics.samples("submitters_per_day") == {(midnight,): 3}
    assert analytics.samples("new_submitters_per_day") == {(midnight,): 2}


def test_a_day_without_submitters_counts_zero(analytics: AnalyticsHarness) -> None:
    analytics.add_submitted(clock(11))

    analytics.measure(Submitters(), clock(23, 10))
    analytics.measure(Submitters(), clock(0) + minutes(2 * 24 * 60 + 1))

    assert [value for _, value in sorted(analytics.samples("submitters_per_day").items())] == [0, 0]
