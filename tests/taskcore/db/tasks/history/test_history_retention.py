"""The retention of history: which rows are deleted, and what a reader learns of it."""

from __future__ import annotations

import pytest

from taskcore.db.tasks import history_feed
from taskcore.domain.feed import Position
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.history.feed_reader import (
    all_ids,
)


def test_a_reader_that_resumes_below_deleted_history_learns_of_it(db: DatabaseHarness) -> None:
    db.submit(*[new_task() for _ in range(10)])
    db.sql("UPDATE task_history SET at = at - interval '1 day' WHERE id <= 6")
    db.sql("DELETE FROM task")

    assert [db.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0] for _ in range(4)] == [3, 3, 0, 0]
    db.sql("UPDATE task_history SET at = at - interval '1 day'")
    while db.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(db) == [10]
    assert history_feed.read(db.engine, Position(3)).expired == (4, 9)
    assert history_feed.read(db.engine, Position(9)).expired is None
    assert history_feed.read(db.engine, Position()).expired is None


def test_the_history_of_an_existing_task_and_all_later_history_is_kept(db: DatabaseHarness) -> None:
    db.submit(*[new_task() for _ in range(5)])
    db.sql("UPDATE task_history SET at = at - interval '1 day'")
    db.sql("DELETE FROM task WHERE id <> 3")

    while db.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(db) == [3, 4, 5]


def test_the_end_of_a_task_is_kept_while_another_depends_on_it(db: DatabaseHarness) -> None:
    db.submit(*[new_task() for _ in range(5)])
    db.sql("UPDATE task_history SET at = at - interval '1 day'")
    db.sql("DELETE FROM task")
    db.sql("INSERT INTO task_dependency (task_id, depends_on) VALUES (9, 2)")

    while db.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(db) == [2, 3, 4, 5]


@pytest.mark.parametrize(("days_ago", "kept"), [(0, [5]), (2, [3, 4, 5]), (3, [2, 3, 4, 5]), (99, [2, 3, 4, 5])])
def test_history_that_analytics_has_not_counted_is_kept_for_thirty_days(
    db: DatabaseHarness, days_ago: int, kept: list[int]
) -> None:
    db.submit(*[new_task() for _ in range(5)])
    db.sql("UPDATE task_history SET at = now() - interval '1 day' * (ARRAY[31, 3, 2, 2, 2])[id]")
    db.sql("DELETE FROM task")
    db.sql(
        "INSERT INTO analytics_cursor (source, until) VALUES ('all', now()),"
        " ('other', now() - interval '1 day' * :days - interval '1 hour')",
        days=days_ago,
    )

    while db.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(db) == kept
