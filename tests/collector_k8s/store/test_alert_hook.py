"""Alerts are opened and counted in the transaction of their events, and submit their tasks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, text

from collector_k8s.store.alert_hook import AlertHook
from taskcore.db.kubernetes import alerts
from taskcore.db.workers import workers
from taskcore.live_settings import CurrentSettings
from taskcore.settings import AlertSettings, Settings
from tests.collector_k8s.database import query, transaction
from tests.collector_k8s.event_rows import event, store
from tests.collector_k8s.store.alert_harness import add_events, alert_hook
from tests.taskcore.db.db_harness import DatabaseHarness

#: Names of characters of four bytes each, by their first character. They are not compressible.
NAMES = {"namespace": 0x20000, "kind": 0x21000, "name": 0x22000, "reason": 0x23000}


def test_an_event_opens_an_alert_and_further_ones_are_counted(engine: Engine) -> None:
    hook = alert_hook(engine)

    add_events(engine, hook, event(1, count=3), event(2, type="Normal"))
    add_events(engine, hook, event(3, uid="uid-1", count=5, message="again"), event(4), event(5, name="web-2"))

    found = query(engine, "SELECT name, count, message, rule, resolved_at FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [
        ("web-1", 6, "again", "warnings", None),
        ("web-2", 1, "Back-off restarting", "warnings", None),
    ]


def test_only_opening_an_alert_submits_a_task(engine: Engine) -> None:
    hook = alert_hook(engine)

    needs_commit_hook = [add_events(engine, hook, event(number)) for number in (1, 2)]

    assert needs_commit_hook == [True, False]
    (task,) = query(engine, "SELECT id, type, parameters, labels, status FROM task")
    (alert,) = query(engine, "SELECT id, task_id FROM alert")
    assert task.parameters == {"to": "ops@example.org", "body": "web-1: Back-off restarting"}
    assert (task.type, task.status, task.labels) == ("mail", "queued", {"taskcore.io/alert": str(alert.id)})
    assert alert.task_id == task.id
    assert query(engine, "SELECT actor FROM task_history") == [(f"alert:{alert.id}",)]
    assert len(query(engine, "SELECT 1 FROM outbox")) == 1


def test_a_rollback_leaves_neither_alert_nor_task(engine: Engine) -> None:
    hook = alert_hook(engine)

    with engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        hook.on_stored(connection, store(connection, event(1)))
        connection.rollback()

    assert query(engine, "SELECT 1 FROM alert UNION ALL SELECT 1 FROM task") == []


def test_an_event_after_the_resolution_opens_a_new_alert(engine: Engine) -> None:
    hook = alert_hook(engine)
    add_events(engine, hook, event(1, count=3))
    with engine.connect() as connection:
        connection.execute(alerts.resolve(), {"alert_id": 1, "by": "me"})

    add_events(engine, hook, event(2, uid="uid-1", count=4))

    found = query(engine, "SELECT count, resolved_by FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [(3, "me"), (1, None)]
    assert len(query(engine, "SELECT 1 FROM task")) == 2


def test_an_event_during_the_resolution_opens_a_new_alert(engine: Engine) -> None:
    hook = alert_hook(engine)
    add_events(engine, hook, event(1))

    with ThreadPoolExecutor(1) as pool:
        with transaction(engine) as connection:
            connection.execute(alerts.resolve(), {"alert_id": 1, "by": "me"})
            adding = pool.submit(add_events, engine, hook, event(2))
            DatabaseHarness(engine).wait_for_blocked(1)
        assert adding.result(60)

    found = query(engine, "SELECT count, resolved_by FROM alert ORDER BY id")
    assert [tuple(row) for row in found] == [(1, "me"), (1, None)]


def test_a_task_has_the_timeout_of_its_type(engine: Engine) -> None:
    mail = {"name": "mail", "description": "", "queue": "q", "schema": {}, "max_attempts": 4, "retry": {}}
    with engine.connect() as connection:
        connection.execute(workers.register_types([{**mail, "timeout_s": 90.0}]))

    add_events(engine, alert_hook(engine), event(1))

    assert query(engine, "SELECT timeout_s, queue FROM task") == [(90.0, "default")]


def test_the_text_of_an_event_fits_the_parameters_of_the_type(engine: Engine) -> None:
    schema = {"properties": {"body": {"type": "string", "pattern": "^[^\n]*$", "maxLength": 20}}}
    mail = {"name": "mail", "description": "", "queue": "q", "schema": schema, "max_attempts": 4, "retry": {}}
    with engine.connect() as connection:
        connection.execute(workers.register_types([{**mail, "timeout_s": None}]))

    add_events(engine, alert_hook(engine), event(1, message="two\r\nlines\nor more"))

    assert query(engine, "SELECT parameters ->> 'body' FROM task") == [("web-1: two lines or…",)]


def test_a_storm_opens_few_alerts_and_one_for_the_rest(engine: Engine) -> None:
    hook = alert_hook(engine)

    add_events(engine, hook, *(event(number, name=f"web-{number}", message="late") for number in range(1, 41)))
    needs_commit_hook = add_events(engine, hook, *(event(number, name=f"web-{number}") for number in range(41, 61)))

    found = query(engine, "SELECT namespace, kind, name, reason, count FROM alert WHERE name LIKE '*%'")
    assert [tuple(row) for row in found] == [("*", "Pod", "* warnings", "BackOff", 50)]
    assert query(engine, "SELECT count(*) FROM alert") == [(11,)]
    assert query(engine, "SELECT count(*) FROM task") == [(11,)]
    of_group = "SELECT parameters ->> 'body' FROM task JOIN alert ON task_id = task.id WHERE alert.name = '* warnings'"
    (body,) = query(engine, of_group)[0]
    assert "Too many alerts of the rule warnings: this one and further ones are counted together. late" in body
    assert not needs_commit_hook


def test_a_minute_later_more_alerts_may_open(engine: Engine) -> None:
    hook = alert_hook(engine)
    add_events(engine, hook, *(event(number, name=f"web-{number}") for number in range(1, 12)))
    with engine.connect() as connection:
        connection.execute(text("UPDATE alert SET opened_at = now() - interval '61 s'"))

    add_events(engine, hook, event(12, name="web-12"), event(13, name="web-1"))

    assert query(engine, "SELECT count FROM alert WHERE name IN ('web-1', 'web-12') ORDER BY name") == [(2,), (1,)]
    assert query(engine, "SELECT count FROM alert WHERE name = '* warnings'") == [(1,)]


def test_changed_rules_apply_to_later_events(engine: Engine) -> None:
    current = CurrentSettings(Settings(alerts=AlertSettings(rules=())))
    hook = AlertHook(current, engine)

    add_events(engine, hook, event(1))
    current.apply_overrides({"alerts.rules": [{"name": "normal", "types": ["Normal"]}]})
    add_events(engine, hook, event(2), event(3, type="Normal"))

    assert query(engine, "SELECT rule, task_id FROM alert") == [("normal", None)]


def test_long_names_are_cut_and_still_identify_their_alert(engine: Engine) -> None:
    names = {part: "".join(map(chr, range(begin, begin + 1_792, 7))) for part, begin in NAMES.items()}

    add_events(engine, alert_hook(engine), event(1, **names))
    add_events(engine, alert_hook(engine), event(2, **names))

    found = query(engine, "SELECT count, octet_length(name), octet_length(namespace) FROM alert")
    assert [tuple(row) for row in found] == [(2, 512, 512)]
