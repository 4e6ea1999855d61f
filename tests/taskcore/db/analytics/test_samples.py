"""What the analytics collector stores: samples, metrics and cursors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from harness.postgres import as_role
from harness.waiting import eventually
from taskcore.db.analytics import samples as analytics
from taskcore.db.engine import sync_engine
from taskcore.domain.metrics import Kind, Metric, Window, bucket_start, next_window
from taskstandalone.postgres.roles import OWNER
from tests.taskcore.db.db_harness import DatabaseHarness

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)


def store(db: DatabaseHarness, *samples: tuple[str, dict[str, str], datetime, float]) -> int:
    rows = analytics.sample_rows(samples)
    db.run(analytics.add_series(), rows=rows)
    return len(db.run(analytics.add_samples(), rows=rows))


def stored(db: DatabaseHarness) -> list[Any]:
    rows = db.sql(
        "SELECT metric, labels, bucket, value FROM analytics_series JOIN analytics_sample ON series_id = id"
        " ORDER BY metric, labels, bucket"
    )
    return [tuple(row) for row in rows]


def lag_seen_by_another_role(database_url: str) -> timedelta:
    """Return how far behind now the history is settled, as seen by a role that cannot see the times of other roles."""
    engine = sync_engine(as_role(OWNER, database_url), name="tests", pool_size=1)
    (row,) = DatabaseHarness(engine).run(analytics.read_clock())
    engine.dispose()
    lag: timedelta = row.at - row.settled
    return lag


def test_the_first_sample_of_a_series_in_a_bucket_counts(db: DatabaseHarness) -> None:
    assert store(db, ("tasks", {"status": "queued", "type": "noop"}, NOON, 7)) == 1

    again = store(
        db,
        ("tasks", {"type": "noop", "status": "queued"}, NOON, 8),
        ("tasks", {"type": "noop", "status": "queued"}, NOON + HALF_HOUR, 9),
    )

    assert again == 1
    labels = {"status": "queued", "type": "noop"}
    assert stored(db) == [("tasks", labels, NOON, 7), ("tasks", labels, NOON + HALF_HOUR, 9)]


def test_the_last_description_of_a_metric_is_stored(db: DatabaseHarness) -> None:
    db.run(analytics.upsert_metrics(), rows=analytics.metric_rows("s", [Metric("m", "old"), Metric("n")]))
    db.run(analytics.upsert_metrics(), rows=analytics.metric_rows("s", [Metric("m", "new", "seconds", Kind.COUNT)]))

    rows = db.sql("SELECT name, description, unit, kind, source FROM analytics_metric ORDER BY name")
    assert [tuple(row) for row in rows] == [("m", "new", "seconds", "count", "s"), ("n", "", "", "gauge", "s")]


def test_a_cursor_is_created_once_and_advances(db: DatabaseHarness) -> None:
    begun = [db.run(analytics.create_cursor(), of="s", since=at) for at in (NOON, NOON + HALF_HOUR)]
    db.run(analytics.advance_cursor(), of="s", upto=NOON + 2 * HALF_HOUR)

    assert [len(rows) for rows in begun] == [1, 0]
    assert db.run(analytics.read_cursor(), of="s")[0].until == NOON + 2 * HALF_HOUR


def test_history_that_is_being_written_is_not_settled(db: DatabaseHarness) -> None:
    (before,) = db.run(analytics.read_clock())
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as writer, writer.begin():
        begun_at = writer.execute(text("SELECT now() - interval '10 seconds'")).scalar_one()
        writer.execute(text("INSERT INTO queue (name) VALUES ('q')"))
        (during,) = db.run(analytics.read_clock())

    assert before.at - before.settled == timedelta(seconds=analytics.COMMIT_SLACK_S)
    assert begun_at < during.settled <= during.at - timedelta(seconds=analytics.COMMIT_SLACK_S)


def test_a_writer_of_another_role_is_waited_for_although_its_start_is_hidden(
    db: DatabaseHarness, database_url: str
) -> None:
    with db.engine.connect().execution_options(isolation_level="READ COMMITTED") as writer, writer.begin():
        writer.execute(text("INSERT INTO queue (name) VALUES ('q')"))

        assert lag_seen_by_another_role(database_url) == timedelta(seconds=analytics.MAX_TRANSACTION_S)


def test_a_transaction_that_waits_for_a_lock_is_waited_for(db: DatabaseHarness, database_url: str) -> None:
    with ThreadPoolExecutor() as pool, db.engine.connect() as holder:
        holder.execute(text("SELECT pg_advisory_lock(7)"))
        waiting = pool.submit(db.sql, "SELECT pg_advisory_lock(7), pg_advisory_unlock(7)")
        eventually(lambda: db.sql("SELECT FROM pg_locks WHERE NOT granted"))
        lag = lag_seen_by_another_role(database_url)
        holder.execute(text("SELECT pg_advisory_unlock(7)"))
        waiting.result()

    assert lag == timedelta(seconds=analytics.MAX_TRANSACTION_S)


def test_windows_end_with_their_buckets_and_before_unsettled_history() -> None:
    odd = NOON + timedelta(minutes=10)

    assert next_window(NOON, NOON + HALF_HOUR, HALF_HOUR) == Window(NOON, NOON + HALF_HOUR)
    assert next_window(odd, NOON + HALF_HOUR, HALF_HOUR) == Window(odd, NOON + HALF_HOUR)
    assert next_window(odd, NOON + timedelta(minutes=29), HALF_HOUR) is None
    assert bucket_start(odd, timedelta(hours=1)) == NOON
