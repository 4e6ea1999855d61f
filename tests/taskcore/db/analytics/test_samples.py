"""What a collector stores: samples that stay, metrics that are known, and cursors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from harness.waiting import eventually
from taskcore.db.analytics import samples as analytics
from taskcore.domain.metrics import Kind, Metric, Window, bucket_start, next_window
from tests.taskcore.db.db_harness import DatabaseHarness

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def store(stage: DatabaseHarness, *samples: tuple[str, dict[str, str], datetime, float]) -> int:
    rows = analytics.sample_rows(samples)
    stage.run(analytics.add_series(), rows=rows)
    return len(stage.run(analytics.add_samples(), rows=rows))


def stored(stage: DatabaseHarness) -> list[Any]:
    rows = stage.sql(
        "SELECT metric, labels, bucket, value FROM analytics_series JOIN analytics_sample ON series_id = id"
        " ORDER BY metric, labels, bucket"
    )
    return [tuple(row) for row in rows]


def lag_seen_by_another_role(stage: DatabaseHarness) -> timedelta:
    """To which it is hidden since when others have been at work."""
    with stage.engine.connect() as connection:
        connection.execute(text("SET ROLE pg_signal_backend"))
        clock = connection.execute(analytics.read_clock()).one()
        connection.execute(text("RESET ROLE"))
    lag: timedelta = clock.at - clock.settled
    return lag


def test_the_first_sample_of_a_series_in_a_bucket_stays(stage: DatabaseHarness) -> None:
    assert store(stage, ("tasks", {"status": "queued", "type": "noop"}, NOON, 7)) == 1

    again = store(
        stage,
        ("tasks", {"type": "noop", "status": "queued"}, NOON, 8),
        ("tasks", {"type": "noop", "status": "queued"}, NOON + HALF_HOUR, 9),
    )

    assert again == 1
    labels = {"status": "queued", "type": "noop"}
    assert stored(stage) == [("tasks", labels, NOON, 7), ("tasks", labels, NOON + HALF_HOUR, 9)]


def test_metrics_are_described_as_their_source_says_last(stage: DatabaseHarness) -> None:
    stage.run(analytics.upsert_metrics(), rows=analytics.metric_rows("s", [Metric("m", "old"), Metric("n")]))
    stage.run(analytics.upsert_metrics(), rows=analytics.metric_rows("s", [Metric("m", "new", "seconds", Kind.COUNT)]))

    rows = stage.sql("SELECT name, description, unit, kind, source FROM analytics_metric ORDER BY name")
    assert [tuple(row) for row in rows] == [("m", "new", "seconds", "count", "s"), ("n", "", "", "gauge", "s")]


def test_a_cursor_begins_once_and_moves(stage: DatabaseHarness) -> None:
    begun = [stage.run(analytics.create_cursor(), of="s", since=at) for at in (NOON, NOON + HALF_HOUR)]
    stage.run(analytics.advance_cursor(), of="s", upto=NOON + 2 * HALF_HOUR)

    assert [len(rows) for rows in begun] == [1, 0]
    assert stage.run(analytics.read_cursor(), of="s")[0].until == NOON + 2 * HALF_HOUR


def test_what_is_being_written_is_not_settled_yet(stage: DatabaseHarness) -> None:
    (before,) = stage.run(analytics.read_clock())
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as writer, writer.begin():
        begun_at = writer.execute(text("SELECT now() - interval '10 seconds'")).scalar_one()
        writer.execute(text("INSERT INTO queue (name) VALUES ('q')"))
        (during,) = stage.run(analytics.read_clock())

    assert before.at - before.settled == timedelta(seconds=analytics.COMMIT_SLACK_S)
    assert begun_at < during.settled <= during.at - timedelta(seconds=analytics.COMMIT_SLACK_S)


def test_a_writer_of_another_role_is_waited_for_though_it_is_hidden_when_it_began(stage: DatabaseHarness) -> None:
    with stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as writer, writer.begin():
        writer.execute(text("INSERT INTO queue (name) VALUES ('q')"))

        assert lag_seen_by_another_role(stage) == timedelta(seconds=analytics.MAX_TRANSACTION_S)


def test_who_waits_for_a_lock_is_waited_for_though_it_has_written_nothing_yet(stage: DatabaseHarness) -> None:
    with ThreadPoolExecutor() as pool, stage.engine.connect() as holder:
        holder.execute(text("SELECT pg_advisory_lock(7)"))
        waiting = pool.submit(stage.sql, "SELECT pg_advisory_lock(7), pg_advisory_unlock(7)")
        eventually(lambda: stage.sql("SELECT FROM pg_locks WHERE NOT granted"))
        lag = lag_seen_by_another_role(stage)
        holder.execute(text("SELECT pg_advisory_unlock(7)"))
        waiting.result()

    assert lag == timedelta(seconds=analytics.MAX_TRANSACTION_S)


def test_windows_end_where_their_buckets_do_and_never_after_what_is_settled() -> None:
    odd = NOON + timedelta(minutes=10)

    assert next_window(NOON, NOON + HALF_HOUR, HALF_HOUR) == Window(NOON, NOON + HALF_HOUR)
    assert next_window(odd, NOON + HALF_HOUR, HALF_HOUR) == Window(odd, NOON + HALF_HOUR)
    assert next_window(odd, NOON + timedelta(minutes=29), HALF_HOUR) is None
    assert bucket_start(odd, timedelta(hours=1)) == NOON
