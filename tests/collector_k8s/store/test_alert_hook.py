"""Alerts on a real database: in the transaction of their events they are opened, counted, and fire."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from collector_k8s.store.alert_hook import AlertHook, validate_rules
from taskcore.db.engine import sync_engine
from taskcore.db.kubernetes import alerts
from taskcore.db.workers import workers
from taskcore.errors import InvalidSettings
from taskcore.live_settings import CurrentSettings
from taskcore.settings import AlertRule, AlertSettings, AlertTask, Settings
from tests.collector_k8s.event_rows import event, store
from tests.taskcore.db.db_harness import DatabaseHarness

EMAIL = AlertTask(type="mail", parameters={"to": "ops@example.org", "body": "$object: $message"})
MINE = AlertRule(name="mine", types=("Warning",), task=EMAIL)

#: Four bytes each, and not compressible.
PARTS = {"namespace": 0x20000, "kind": 0x21000, "name": 0x22000, "reason": 0x23000}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url, name="tests", pool_size=5)
    yield engine
    engine.dispose()


def alerting(engine: Engine, *rules: AlertRule, resolve_after_s: float | None = None) -> AlertHook:
    return AlertHook(
        CurrentSettings(Settings(alerts=AlertSettings(rules=rules or (MINE,), resolve_after_s=resolve_after_s))), engine
    )


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection, connection.begin():
        yield connection


def note(engine: Engine, which: AlertHook, *events: dict[str, Any]) -> bool:
    with transaction(engine) as connection:
        return which.on_stored(connection, store(connection, *events))


def rows(engine: Engine, sql: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(text(sql)))


def test_an_event_opens_an_alert_and_more_of_it_are_counted(engine: Engine) -> None:
    mine = alerting(engine)

    note(engine, mine, event(1, count=3), event(2, type="Normal"))
    note(engine, mine, event(3, uid="uid-1", count=5, message="again"), event(4), event(5, name="web-2"))

    found = rows(engine, "SELECT name, count, message, rule, resolved_at FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("web-1", 6, "again", "mine", None),
        ("web-2", 1, "Back-off restarting", "mine", None),
    ]


def test_opening_submits_one_task_and_counting_none(engine: Engine) -> None:
    mine = alerting(engine)

    told = [note(engine, mine, event(number)) for number in (1, 2)]

    assert told == [True, False]
    (task,) = rows(engine, "SELECT id, type, parameters, labels, status FROM task")
    (alert,) = rows(engine, "SELECT id, task_id FROM alert")
    assert task.parameters == {"to": "ops@example.org", "body": "web-1: Back-off restarting"}
    assert (task.type, task.status, task.labels) == ("mail", "queued", {"taskcore.io/alert": str(alert.id)})
    assert alert.task_id == task.id
    assert rows(engine, "SELECT actor FROM task_history") == [(f"alert:{alert.id}",)]
    assert len(rows(engine, "SELECT 1 FROM outbox")) == 1


def test_a_transaction_that_is_rolled_back_leaves_neither_alert_nor_task(engine: Engine) -> None:
    mine = alerting(engine)

    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        mine.on_stored(connection, store(connection, event(1)))
        connection.rollback()

    assert rows(engine, "SELECT 1 FROM alert UNION ALL SELECT 1 FROM task") == []


def test_after_it_was_resolved_the_next_event_opens_another_one(engine: Engine) -> None:
    mine = alerting(engine)
    note(engine, mine, event(1, count=3))
    with engine.connect() as connection:
        connection.execute(alerts.resolve(), {"alert_id": 1, "by": "me"})

    note(engine, mine, event(2, uid="uid-1", count=4))

    found = rows(engine, "SELECT count, resolved_by FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [(3, "me"), (1, None)]
    assert len(rows(engine, "SELECT 1 FROM task")) == 2


def test_an_event_that_comes_while_its_alert_is_being_resolved_is_not_lost(engine: Engine) -> None:
    mine = alerting(engine)
    note(engine, mine, event(1))

    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as connection:
            connection.execute(alerts.resolve(), {"alert_id": 1, "by": "me"})
            coming = pool.submit(note, engine, mine, event(2))
            DatabaseHarness(engine).wait_for_blocked(1)
        assert coming.result(60)

    found = rows(engine, "SELECT count, resolved_by FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [(1, "me"), (1, None)]


def test_a_task_has_the_timeout_of_its_type(engine: Engine) -> None:
    known = {"name": "mail", "description": "", "queue": "q", "schema": {}, "max_attempts": 4, "retry": {}}
    with engine.connect() as connection:
        connection.execute(workers.register_types([{**known, "timeout_s": 90.0}]))

    note(engine, alerting(engine), event(1))

    assert rows(engine, "SELECT timeout_s, queue FROM task") == [(90.0, "default")]


def test_rules_that_change_count_from_then_on(engine: Engine) -> None:
    current = CurrentSettings(Settings(alerts=AlertSettings(rules=())))
    mine = AlertHook(current, engine)

    note(engine, mine, event(1))
    current.apply_overrides({"alerts.rules": [{"name": "normal", "types": ["Normal"]}]})
    note(engine, mine, event(2), event(3, type="Normal"))

    assert rows(engine, "SELECT rule, task_id FROM alert") == [("normal", None)]


def test_words_of_many_bytes_are_cut_so_that_their_alert_can_be_found(engine: Engine) -> None:
    words = {part: "".join(map(chr, range(begin, begin + 1_792, 7))) for part, begin in PARTS.items()}

    note(engine, alerting(engine), event(1, **words))
    note(engine, alerting(engine), event(2, **words))

    found = rows(engine, "SELECT count, octet_length(name), octet_length(namespace) FROM alert")
    assert [tuple(row) for row in found] == [(2, 512, 512)]


@pytest.mark.parametrize(("parameters", "is_refused"), [({"to": "x"}, False), ({"to": 5}, True)])
def test_the_processs_own_rules_are_checked_at_its_start(
    engine: Engine, parameters: dict[str, Any], is_refused: bool
) -> None:
    schema = {"type": "object", "properties": {"to": {"type": "string"}}}
    known = {"name": "mail", "description": "", "queue": "q", "schema": schema, "max_attempts": 4, "retry": {}}
    with engine.connect() as connection:
        connection.execute(workers.register_types([known]))
    unknown = AlertRule(name="later", task=AlertTask(type="of_a_worker_that_starts_later"))
    rules = (unknown, AlertRule(name="mine", task=AlertTask(type="mail", parameters=parameters)))

    settings = Settings(alerts=AlertSettings(rules=rules))

    if is_refused:
        with pytest.raises(InvalidSettings, match=r"TASKCORE_ALERTS__RULES: 1\.task\.parameters\.to: the value is not"):
            validate_rules(settings, engine)
    else:
        validate_rules(settings, engine)


def test_a_database_that_is_away_or_not_made_yet_does_not_keep_it_from_starting(empty_database_url: str) -> None:
    for url in ("postgresql://nobody@127.0.0.1:1/none", empty_database_url):
        engine = sync_engine(url, name="tests", pool_size=1)

        validate_rules(Settings(alerts=AlertSettings(rules=(MINE,))), engine)

        engine.dispose()
