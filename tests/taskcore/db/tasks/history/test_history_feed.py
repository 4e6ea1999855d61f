"""The history as a feed, on real connections: no reader misses a row, and open transactions do not block it."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from harness.postgres import RUNTIME_ROLE, PostgresServer, execute_as
from harness.waiting import eventually
from taskcore.db import migrations
from taskcore.db.engine import async_engine, sync_engine
from taskcore.db.tasks import actions, history_feed
from taskcore.domain import outcomes
from taskcore.domain.feed import Position
from taskstandalone.postgres.roles import OWNER
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.history.feed_reader import (
    Reader,
    all_ids,
    assert_nothing_missed,
    end,
    open_transaction,
    second_engine,
    write_in,
)


@pytest.fixture
def db(db: DatabaseHarness) -> DatabaseHarness:
    """With an existing queue: the first submit to a queue creates it, and others wait for that to commit."""
    db.sql("INSERT INTO queue (name) VALUES ('default')")
    return db


def test_a_row_is_delivered_when_visible_and_the_cursor_waits_for_earlier_ids(db: DatabaseHarness) -> None:
    db.submit(new_task())
    early = open_transaction(db.engine)
    write_in(early)
    db.submit(new_task())
    reader = Reader(db.engine)

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


def test_rolled_back_rows_do_not_hold_up_the_cursor(db: DatabaseHarness) -> None:
    undone = open_transaction(db.engine)
    write_in(undone)
    db.submit(new_task())
    end(undone, is_committed=False)
    reader = Reader(db.engine)

    reader.read()
    reader.read()

    assert reader.ids == [2]
    assert reader.position.cursor == 2


def test_an_open_transaction_without_history_does_not_hold_up_the_cursor(db: DatabaseHarness) -> None:
    """Such a transaction keeps `pg_snapshot_xmin` back for as long as it likes."""
    stranger = open_transaction(db.engine)
    stranger.execute(text("INSERT INTO queue (name) VALUES ('elsewhere')"))
    undone = open_transaction(db.engine)
    write_in(undone)
    end(undone, is_committed=False)
    db.submit(new_task())
    reader = Reader(db.engine)

    reader.read_to_the_end()

    assert reader.position == Position(2)
    end(stranger, is_committed=True)


def test_later_writers_do_not_keep_a_gap_open(db: DatabaseHarness) -> None:
    first = open_transaction(db.engine)
    write_in(first)
    db.submit(new_task())
    reader = Reader(db.engine)
    reader.read()

    later = open_transaction(db.engine)
    write_in(later)
    end(first, is_committed=False)
    reader.read()
    reader.read()

    assert reader.position.cursor == 2
    end(later, is_committed=True)
    reader.read_to_the_end()
    assert reader.ids == [2, 3]


def test_readers_miss_nothing_while_transactions_end_in_any_order(db: DatabaseHarness, database_url: str) -> None:
    """Forty writers are open at once; readers stop at arbitrary rows, and others resume from there."""
    chance = random.Random(7)
    db.submit(new_task())
    readers = [Reader(db.engine, 0, room) for room in (3, 50, history_feed.PAGE_SIZE)]
    with second_engine(database_url, 60) as engine:
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
                readers.append(Reader(db.engine, chance.choice(shown).cursor if shown else 0, chance.randint(1, 9)))
        for connection in writers:
            end(connection, is_committed=True)

    whole = all_ids(db)
    for reader in readers:
        reader.read_to_the_end()
        assert sorted(reader.ids) == [id_ for id_ in whole if id_ > reader.start]
        assert_nothing_missed(reader, whole)


def test_readers_miss_nothing_while_workers_claim_settle_and_fail(db: DatabaseHarness) -> None:
    """All kinds of writers, each committing when it can, a tenth of them rolled back half-way."""
    task_ids = db.submit(*[new_task() for _ in range(200)])
    reader = Reader(db.engine, room=40)
    is_over = Event()

    def work(task_id: int) -> None:
        if task_id % 10 == 0:
            undone = open_transaction(db.engine)
            write_in(undone, 2)
            end(undone, is_committed=False)
        token = uuid4()
        db.claim([task_id], token=token)
        db.submit(new_task(), new_task())
        if task_id % 3:
            db.settle(task_id, 1, token)
            db.run(actions.delete_task(), task=task_id, by="me")
        else:
            db.settle(task_id, 1, token, outcomes.retry_later("no luck", timedelta(hours=1)))

    def follow() -> None:
        while not is_over.is_set():
            reader.read()

    with ThreadPoolExecutor(9) as pool:
        following = pool.submit(follow)
        list(pool.map(work, task_ids))
        is_over.set()
        following.result()

    reader.read_to_the_end()
    whole = all_ids(db)
    assert sorted(reader.ids) == whole
    assert_nothing_missed(reader, whole)


@pytest.mark.parametrize("crash", ["kill", "immediate"])
def test_gaps_left_by_a_crash_of_postgresql_do_not_hold_up_the_cursor(
    private_postgres: PostgresServer, crash: str
) -> None:
    url = private_postgres.url
    migrations.upgrade(url)
    engine = sync_engine(url, name="tests", pool_size=8)
    db = DatabaseHarness(engine)
    db.submit(new_task())
    reader = Reader(engine, room=5)
    for _ in range(3):
        unfinished = open_transaction(engine)
        write_in(unfinished, 3)
        db.submit(new_task(), new_task())
        reader.read()

        private_postgres.kill() if crash == "kill" else private_postgres.stop("immediate")
        private_postgres.start()
        unfinished.invalidate()
        unfinished.close()
        engine.dispose()
        db.submit(new_task())

    def has_no_gaps() -> bool:
        reader.read()
        return not reader.position.gaps

    eventually(has_no_gaps)
    reader.read_to_the_end()
    whole = all_ids(db)
    assert whole[-1] - whole[0] > len(whole) + 8  # there were gaps
    assert sorted(reader.ids) == whole
    assert_nothing_missed(reader, whole)
    engine.dispose()


async def test_the_feed_can_be_read_asynchronously(db: DatabaseHarness, database_url: str) -> None:
    db.submit(new_task(), new_task())
    undone = open_transaction(db.engine)
    write_in(undone)
    end(undone, is_committed=False)
    db.submit(new_task())
    engine = async_engine(database_url, name="tests", pool_size=1)

    page = await history_feed.read_async(engine, Position(1))
    last = await history_feed.read_async(engine, page.position)

    assert [shown.row.id for shown in page.rows] == [2, 4]
    assert (page.position.cursor, last.position.cursor) == (2, 4)
    await engine.dispose()


def test_every_writer_holds_the_lock_before_its_first_id(db: DatabaseHarness, database_url: str) -> None:
    """The trigger records the last id of the sequence at the moment when it takes the lock."""
    body = db.sql("SELECT prosrc FROM pg_proc WHERE proname = 'lock_history_shared'")[0].prosrc
    noted = body.replace("RETURN", "INSERT INTO noted SELECT last_value FROM task_history_id_seq; RETURN")
    trigger = f"CREATE OR REPLACE FUNCTION lock_history_shared() RETURNS trigger LANGUAGE plpgsql AS $${noted}$$"
    grant = f"GRANT SELECT, INSERT, DELETE ON noted, task_history_id_seq TO {RUNTIME_ROLE}"
    execute_as(OWNER, database_url, "CREATE TABLE noted (last bigint)", grant, trigger)
    token = uuid4()

    def do(verb: Callable[[], object]) -> None:
        (before,) = db.sql("SELECT last_value FROM task_history_id_seq")
        db.sql("DELETE FROM noted")
        verb()
        assert db.sql("SELECT last FROM noted") == [before]
        assert db.sql("SELECT last_value FROM task_history_id_seq") > [before]

    db.submit(new_task())
    do(lambda: db.submit(new_task(), new_task()))
    do(lambda: db.claim([1, 2, 3], token=token))
    do(lambda: db.settle(1, 1, token))
    do(lambda: db.settle(2, 1, token, outcomes.failed("no", "attempts_exhausted")))
    do(lambda: db.settle(3, 1, token, outcomes.retry_later("no", timedelta(0))))
    do(lambda: db.run(actions.delete_task(), task=1, by="me"))
    do(lambda: db.run(actions.retry(), task=2, by="me"))
    do(lambda: db.run(actions.cancel(), task=3, by="me", why=None))


def test_sessions_do_not_cache_ids(db: DatabaseHarness) -> None:
    """A session that cached ids would use them without having held the lock when they were allocated."""
    cached = "SELECT seqcache FROM pg_sequence WHERE seqrelid = 'task_history_id_seq'::regclass"
    assert db.sql(cached)[0].seqcache == 1
