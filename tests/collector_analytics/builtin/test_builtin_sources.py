"""Each of Taskcore's own metrics, of histories that are known."""

from __future__ import annotations

import pytest

from collector_analytics.builtin.durations import Durations
from collector_analytics.builtin.queues import Queues
from collector_analytics.builtin.submitters import Submitters
from collector_analytics.builtin.tasks import Tasks
from collector_analytics.builtin.throughput import Throughput
from collector_analytics.builtin.workers import Workers
from taskcore.db.tasks import actions
from tests.collector_analytics.analytics_harness import NOON, AnalyticsHarness, clock, minutes
from tests.taskcore.db.db_harness import new_task


def test_tasks_are_counted_by_status_type_and_queue(house: AnalyticsHarness) -> None:
    house.submit(new_task(), new_task(), new_task(queue="slow"), new_task(type="mail"))
    (running,) = house.submit(new_task())
    house.claim([running])

    house.measure(Tasks(), NOON)

    assert house.samples("tasks") == {  # queue, status, type
        (NOON, "default", "queued", "noop"): 2,
        (NOON, "slow", "queued", "noop"): 1,
        (NOON, "default", "queued", "mail"): 1,
        (NOON, "default", "running", "noop"): 1,
    }


def test_a_queue_has_a_depth_and_an_age_only_while_something_waits(house: AnalyticsHarness) -> None:
    old, _ = house.submit(new_task(), new_task())
    house.sql("UPDATE outbox SET available_at = now() - interval '1 hour' WHERE task_id = :id", id=old)
    (taken,) = house.submit(new_task(queue="empty"))
    house.claim([taken])
    house.submit(new_task(queue="empty", run_at=clock(12).replace(year=2999)))

    house.measure(Queues(), NOON)

    assert house.samples("queue_depth") == {(NOON, "default"): 2, (NOON, "empty"): 0}
    assert house.samples("queue_oldest_age_seconds") == {(NOON, "default"): pytest.approx(3600, abs=60)}


def test_only_live_workers_and_what_they_hold_count(house: AnalyticsHarness) -> None:
    alive, dead = house.register_worker(), house.register_worker()
    house.sql("UPDATE worker SET seen_at = now() - interval '1 hour' WHERE id = :id", id=dead)
    house.claim(house.submit(new_task(), new_task()), worker=alive)
    house.claim(house.submit(new_task()), worker=dead)

    house.measure(Workers(), NOON)

    found = {name: house.samples(name) for name in ("workers_live", "slots", "slots_in_use")}
    assert found == {"workers_live": {(NOON,): 1}, "slots": {(NOON,): 8}, "slots_in_use": {(NOON,): 2}}


def test_what_was_submitted_and_ended_is_counted_in_its_window(house: AnalyticsHarness) -> None:
    before = house.add_submitted(clock(11, 29))
    tasks = [house.add_submitted(clock(11, minute)) for minute in (30, 45, 59)]
    mail = house.add_submitted(clock(11, 50), type="mail", queue="post")
    house.add_submitted(clock(12))
    house.add_history(before, clock(11, 40), "running", "succeeded", attempt=1)
    house.add_history(tasks[0], clock(11, 41), "running", "failed", attempt=1)
    house.add_history(tasks[0], clock(11, 50), "failed", "queued", attempt=1)
    house.add_history(tasks[0], clock(11, 51), "running", "failed", attempt=2)
    house.add_history(mail, clock(12, 1), "running", "succeeded", attempt=1)

    house.measure(Throughput(), clock(12, 10))

    bucket = clock(11, 30)
    assert house.samples("submitted") == {(bucket, "default", "noop"): 3, (bucket, "post", "mail"): 1}
    assert house.samples("finished") == {(bucket, "succeeded", "noop"): 1, (bucket, "failed", "noop"): 2}


def test_a_task_that_was_deleted_before_it_was_counted_counts_with_its_type(house: AnalyticsHarness) -> None:
    task_id = house.add_submitted(clock(11, 40), type="mail", queue="post")
    house.add_history(task_id, clock(11, 40), "queued", "running", attempt=1)
    house.add_history(task_id, clock(11, 41), "running", "succeeded", attempt=1)
    house.sql("UPDATE task SET status = 'succeeded' WHERE id = :id", id=task_id)
    house.run(actions.delete_task(), task=task_id, by="api")

    for source in (Throughput(), Durations()):
        house.measure(source, clock(12, 10))

    assert house.samples("submitted") == {(clock(11, 30), "post", "mail"): 1}
    assert house.samples("finished") == {(clock(11, 30), "succeeded", "mail"): 1}
    assert house.samples("run_seconds")[clock(11, 30), "p50", "mail"] == 60


def test_waits_and_runs_are_told_by_their_percentiles(house: AnalyticsHarness) -> None:
    for seconds in range(1, 101):
        task_id = house.add_submitted(clock(11, 30))
        claimed_at = clock(11, 30) + minutes(seconds / 60)
        house.add_history(task_id, claimed_at, "queued", "running", attempt=1)
        house.add_history(task_id, claimed_at + minutes(2), "running", "succeeded", attempt=1)
        house.sql(
            "INSERT INTO task_attempt VALUES (:id, 1, 1, :at, CAST(:at AS timestamptz) + interval '2 seconds', 'ok')",
            id=task_id,
            at=claimed_at,
        )

    house.measure(Durations(), clock(12, 10))

    waits, runs = house.samples("queue_wait_seconds"), house.samples("run_seconds")
    bucket = clock(11, 30)
    assert [waits[bucket, quantile, "noop"] for quantile in ("p50", "p95", "p99")] == [50.5, 95.05, 99.01]
    assert runs == {(bucket, quantile, "noop"): 2 for quantile in ("p50", "p95", "p99")}


def test_a_wait_counts_from_when_the_attempt_might_run(house: AnalyticsHarness) -> None:
    delayed = house.add_task(type="delayed", run_at=clock(11, 40))
    house.add_history(delayed, clock(9), None, "scheduled")
    again = house.add_task(type="again")
    house.add_history(again, clock(10), "running", "retrying", attempt=1, details='{"retry_in_s": 5400}')
    house.add_history(again, clock(11, 33), "retrying", "running", attempt=2)
    house.add_history(again, clock(11, 34), "running", "cancelling", attempt=2)
    house.add_history(again, clock(11, 35), "cancelling", "cancelled", attempt=2)
    house.add_history(delayed, clock(11, 41), "scheduled", "running", attempt=1)
    house.add_history(delayed, clock(11, 42), "running", "retrying", attempt=1, details='{"retry_in_s": 120}')

    house.measure(Durations(), clock(12, 10))

    waits, runs = house.samples("queue_wait_seconds"), house.samples("run_seconds")
    assert {key[2]: value for key, value in waits.items()} == {"delayed": 60, "again": 180}
    assert {key[2]: value for key, value in runs.items()} == {"delayed": 60, "again": 120}


def test_submitters_are_counted_when_the_day_is_over_and_known_ones_are_not_new(house: AnalyticsHarness) -> None:
    yesterday = NOON - minutes(24 * 60)
    house.add_submitted(yesterday, by="user:ann")
    house.measure(Submitters(), clock(10, 10))
    for by in ("user:ann", "user:bob", "user:bob", "user:cy", "api", "schedule:1"):
        house.add_submitted(clock(11), by=by)
    house.measure(Submitters(), clock(23, 59))
    midnight = clock(0)
    unfinished = {bucket for (bucket,) in house.samples("submitters_per_day")}

    house.measure(Submitters(), midnight + minutes(24 * 60 + 1))

    assert unfinished == set()
    assert house.samples("submitters_per_day") == {(midnight,): 3}
    assert house.samples("new_submitters_per_day") == {(midnight,): 2}


def test_a_day_without_submitters_has_none(house: AnalyticsHarness) -> None:
    house.add_submitted(clock(11))

    house.measure(Submitters(), clock(23, 10))
    house.measure(Submitters(), clock(0) + minutes(2 * 24 * 60 + 1))

    assert [value for _, value in sorted(house.samples("submitters_per_day").items())] == [0, 0]
