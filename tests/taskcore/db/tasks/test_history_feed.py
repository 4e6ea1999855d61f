"""The history as a feed, on real connections: who resumes misses nothing, and no open transaction is in the way."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from harness.postgres import PostgresServer
from harness.waiting import eventually
from taskcore.db import migrations
from taskcore.db.engine import async_engine, sync_engine
from taskcore.db.tasks import actions, history_feed
from taskcore.domain import outcomes
from taskcore.domain.feed import Position
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.feed_reader import (
    Reader,
    all_ids,
    assert_nothing_missed,
    end,
    open_transaction,
    second_engine,
    write_in,
)


@pytest.fixture
def stage(stage: DatabaseHarness) -> DatabaseHarness:
    """With the queue there already: the first submit to a queue makes it, and others wait for that to commit."""
    stage.sql("INSERT INTO queue (name) VALUES ('default')")
    return stage


def test_a_row_is_shown_when_it_is_visible_and_the_cursor_waits_for_the_ids_before(stage: DatabaseHarness) -> None:
    stage.submit(new_task())
    early = open_transaction(stage.engine)
    write_in(early)
    stage.submit(new_task())
    reader = Reader(stage.engine)

    reader.read()
    assert reader.ids == [1, 3]
    assert [shown.cursor for shown in reader.shown] == [1, 1]
    for _ in range(3):
        reader.read()
    assert reader.position.cursor == 1

    end(early, is_committed=True)
    reader.read_to_the_end()
    assert reader.ids == [1, 3, 2]
    assert reader.position == Position(3)


def test_what_was_rolled_back_holds_up_nobody(stage: DatabaseHarness) -> None:
    undone = open_transaction(stage.engine)
    write_in(undone)
    stage.submit(new_task())
    end(undone, is_committed=False)
    reader = Reader(stage.engine)

    reader.read()
    reader.read()

    assert reader.ids == [2]
    assert reader.position.cursor == 2


def test_an_open_transaction_that_writes_no_history_holds_up_nobody(stage: DatabaseHarness) -> None:
    """It keeps `pg_snapshot_xmin` back for as long as it likes."""
    stranger = open_transaction(stage.engine)
    stranger.execute(text("INSERT INTO queue (name) VALUES ('elsewhere')"))
    undone = open_transaction(stage.engine)
    write_in(undone)
    end(undone, is_committed=False)
    stage.submit(new_task())
    reader = Reader(stage.engine)

    reader.read_to_the_end()

    assert reader.position == Position(2)
    end(stranger, is_committed=True)


def test_writers_who_come_later_do_not_hold_up_a_gap_that_was_noticed_before(stage: DatabaseHarness) -> None:
    first = open_transaction(stage.engine)
    write_in(first)
    stage.submit(new_task())
    reader = Reader(stage.engine)
    reader.read()

    later = open_transaction(stage.engine)
    write_in(later)
    end(first, is_committed=False)
    reader.read()
    reader.read()

    assert reader.position.cursor == 2
    end(later, is_committed=True)
    reader.read_to_the_end()
    assert reader.ids == [2, 3]


def test_connections_that_commit_and_roll_back_in_any_order(stage: DatabaseHarness) -> None:
    """Forty writers are open at once; readers stop at arbitrary rows, and others resume from there."""
    chance = random.Random(7)
    stage.submit(new_task())
    readers = [Reader(stage.engine, 0, room) for room in (3, 50, history_feed.PAGE_SIZE)]
    with second_engine(stage, 60) as engine:
        writers: list[Connection] = []
        for _ in range(600):
            if len(writers) < 40 and chance.random() < 0.5:
                writers.append(open_transaction(engine))
            if writers:
                write_in(chance.choice(writers), chance.randint(1, 3))
            if len(writers) > 20 or (writers and chance.random() < 0.5):
                end(writers.pop(chance.randrange(len(writers))), is_committed=chance.random() < 0.7)
            chance.choice(readers).read()
            if chance.random() < 0.03:
                shown = chance.choice(readers).shown
                readers.append(Reader(stage.engine, chance.choice(shown).cursor if shown else 0, chance.randint(1, 9)))
        for connection in writers:
            end(connection, is_committed=True)

    whole = all_ids(stage)
    for reader in readers:
        reader.read_to_the_end()
        assert sorted(reader.ids) == [id_ for id_ in whole if id_ > reader.start]
        assert_nothing_missed(reader, whole)


def test_workers_that_claim_settle_and_fail_at_once(stage: DatabaseHarness) -> None:
    """All the real writers, each committing when it may, a tenth of them rolled back half-way."""
    task_ids = stage.submit(*[new_task() for _ in range(200)])
    reader = Reader(stage.engine, room=40)
    is_over = Event()

    def work(task_id: int) -> None:
        if task_id % 10 == 0:
            undone = open_transaction(stage.engine)
            write_in(undone, 2)
            end(undone, is_committed=False)
        token = uuid4()
        stage.claim([task_id], token=token)
        stage.submit(new_task(), new_task())
        if task_id % 3:
            stage.settle(task_id, 1, token)
            stage.run(actions.delete_task(), task=task_id, by="me")
        else:
            stage.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(hours=1)))

    def follow() -> None:
        while not is_over.is_set():
            reader.read()

    with ThreadPoolExecutor(9) as pool:
        following = pool.submit(follow)
        list(pool.map(work, task_ids))
        is_over.set()
        following.result()

    reader.read_to_the_end()
    whole = all_ids(stage)
    assert sorted(reader.ids) == whole
    assert_nothing_missed(reader, whole)


@pytest.mark.parametrize("crash", ["kill", "immediate"])
def test_a_crash_of_postgresql_leaves_gaps_that_nobody_waits_for(private_postgres: PostgresServer, crash: str) -> None:
    url = private_postgres.url
    migrations.upgrade(url)
    engine = sync_engine(url, name="tests", pool_size=8)
    stage = DatabaseHarness(engine)
    stage.submit(new_task())
    reader = Reader(engine, room=5)
    for _ in range(3):
        unfinished = open_transaction(engine)
        write_in(unfinished, 3)
        stage.submit(new_task(), new_task())
        reader.read()

        private_postgres.kill() if crash == "kill" else private_postgres.stop("immediate")
        private_postgres.start()
        unfinished.invalidate()
        unfinished.close()
        engine.dispose()
        stage.submit(new_task())

    def has_no_gaps() -> bool:
        reader.read()
        return not reader.position.gaps

    eventually(has_no_gaps)
    reader.read_to_the_end()
    whole = all_ids(stage)
    assert whole[-1] - whole[0] > len(whole) + 8  # there were gaps
    assert sorted(reader.ids) == whole
    assert_nothing_missed(reader, whole)
    engine.dispose()


async def test_it_is_read_asynchronously_as_well(stage: DatabaseHarness, database_url: str) -> None:
    stage.submit(new_task(), new_task())
    undone = open_transaction(stage.engine)
    write_in(undone)
    end(undone, is_committed=False)
    stage.submit(new_task())
    engine = async_engine(database_url, name="tests", pool_size=1)

    page = await history_feed.read_async(engine, Position(1))
    last = await history_feed.read_async(engine, page.position)

    assert [shown.row.id for shown in page.rows] == [2, 4]
    assert (page.position.cursor, last.position.cursor) == (2, 4)
    await engine.dispose()


def test_what_was_forgotten_is_told_to_who_resumes_below_it(stage: DatabaseHarness) -> None:
    stage.submit(*[new_task() for _ in range(10)])
    stage.sql("UPDATE task_history SET at = at - interval '1 day' WHERE id <= 6")
    stage.sql("DELETE FROM task")

    assert [stage.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0] for _ in range(4)] == [3, 3, 0, 0]
    stage.sql("UPDATE task_history SET at = at - interval '1 day'")
    while stage.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(stage) == [10]
    assert history_feed.read(stage.engine, Position(3)).expired == (4, 9)
    assert history_feed.read(stage.engine, Position(9)).expired is None
    assert history_feed.read(stage.engine, Position()).expired is None


def test_the_history_of_a_task_that_exists_and_of_all_after_it_is_not_forgotten(stage: DatabaseHarness) -> None:
    stage.submit(*[new_task() for _ in range(5)])
    stage.sql("UPDATE task_history SET at = at - interval '1 day'")
    stage.sql("DELETE FROM task WHERE id <> 3")

    while stage.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(stage) == [3, 4, 5]


def test_how_a_task_ended_is_not_forgotten_while_another_depends_on_it(stage: DatabaseHarness) -> None:
    stage.submit(*[new_task() for _ in range(5)])
    stage.sql("UPDATE task_history SET at = at - interval '1 day'")
    stage.sql("DELETE FROM task")
    stage.sql("INSERT INTO task_dependency (task_id, depends_on) VALUES (9, 2)")

    while stage.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(stage) == [2, 3, 4, 5]


@pytest.mark.parametrize(("days_ago", "kept"), [(0, [5]), (2, [3, 4, 5]), (3, [2, 3, 4, 5]), (99, [2, 3, 4, 5])])
def test_what_analytics_has_not_counted_is_not_forgotten_for_thirty_days(
    stage: DatabaseHarness, days_ago: int, kept: list[int]
) -> None:
    stage.submit(*[new_task() for _ in range(5)])
    stage.sql("UPDATE task_history SET at = now() - interval '1 day' * (ARRAY[31, 3, 2, 2, 2])[id]")
    stage.sql("DELETE FROM task")
    stage.sql(
        "INSERT INTO analytics_cursor (source, until) VALUES ('all', now()),"
        " ('other', now() - interval '1 day' * :days - interval '1 hour')",
        days=days_ago,
    )

    while stage.run(history_feed.delete_oldest(), after_s=3600.0, room=4)[0][0]:
        pass

    assert all_ids(stage) == kept


def test_every_writer_holds_the_lock_before_its_first_id(stage: DatabaseHarness) -> None:
    """The trigger notes which id the sequence gave last, at the moment when it takes the lock."""
    stage.sql("CREATE TABLE noted (last bigint)")
    body = stage.sql("SELECT prosrc FROM pg_proc WHERE proname = 'lock_history_shared'")[0].prosrc
    noted = body.replace("RETURN", "INSERT INTO noted SELECT last_value FROM task_history_id_seq; RETURN")
    stage.sql(f"CREATE OR REPLACE FUNCTION lock_history_shared() RETURNS trigger LANGUAGE plpgsql AS $${noted}$$")
    token = uuid4()

    def do(verb: Callable[[], object]) -> None:
        (before,) = stage.sql("SELECT last_value FROM task_history_id_seq")
        stage.sql("TRUNCATE noted")
        verb()
        assert stage.sql("SELECT last FROM noted") == [before]
        assert stage.sql("SELECT last_value FROM task_history_id_seq") > [before]

    stage.submit(new_task())
    do(lambda: stage.submit(new_task(), new_task()))
    do(lambda: stage.claim([1, 2, 3], token=token))
    do(lambda: stage.settle(1, 1, token))
    do(lambda: stage.settle(2, 1, token, outcomes.failed("no", "attempts_exhausted")))
    do(lambda: stage.settle(3, 1, token, outcomes.retry_later("no", timedelta(0))))
    do(lambda: stage.run(actions.delete_task(), task=1, by="me"))
    do(lambda: stage.run(actions.retry(), task=2, by="me"))
    do(lambda: stage.run(actions.cancel(), task=3, by="me", why=None))


def test_no_id_is_drawn_ahead(stage: DatabaseHarness) -> None:
    """A session that kept ids for later would use them without having held the lock when it drew them."""
    cached = "SELECT seqcache FROM pg_sequence WHERE seqrelid = 'task_history_id_seq'::regclass"
    assert stage.sql(cached)[0].seqcache == 1
