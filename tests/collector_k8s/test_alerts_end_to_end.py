"""The way from an event in the cluster to the task of an alert, with rules from the database."""

from __future__ import annotations

import json
import threading
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from collector_k8s.process import run
from harness.waiting import eventually
from taskcore.errors import InvalidSettings
from taskcore.settings import AlertRule, AlertSettings, AlertTask, Settings
from tests.collector_k8s.collector_thread import CollectorThread, collector_settings
from tests.collector_k8s.fakes.cluster import FakeCluster
from tests.collector_k8s.fakes.event_json import event

EMAIL = {"to": ["ops@example.org"], "subject": "$object", "body": "$message"}
RULES = [{"name": "out_of_memory", "reasons": ["OOMKilling"], "task": {"type": "send_email", "parameters": EMAIL}}]


def test_an_alert_submits_one_task_even_after_a_new_list(cluster: FakeCluster, database_url: str) -> None:
    settings = collector_settings(database_url, kubeconfig=cluster.kubeconfig, bookmark_interval_s=1)
    with psycopg.connect(database_url, autocommit=True) as database:

        def rows(sql: str) -> list[Any]:
            return database.execute(sql).fetchall()

        rules = json.dumps(RULES)
        database.execute("INSERT INTO setting (name, value, changed_by) VALUES ('alerts.rules', %s, 'me')", [rules])
        cluster.put(event("a", reason="OOMKilling", message="web-1 was killed", count=2), event("b", reason="BackOff"))
        with CollectorThread(settings):
            eventually(lambda: rows("SELECT count FROM alert") == [(2,)])
            cluster.put(event("a", reason="OOMKilling", message="web-1 was killed", count=5))
            eventually(lambda: rows("SELECT count FROM alert") == [(5,)])
        database.execute("DELETE FROM k8s_cursor")
        cluster.put(event("c", reason="BackOff"))
        with CollectorThread(settings):
            eventually(lambda: rows("SELECT count(*) FROM k8s_event WHERE is_current") == [(3,)])

        (alert,) = rows("SELECT id, rule, task_id, count FROM alert")
        (task,) = rows("SELECT id, parameters ->> 'body' FROM task")
    assert task == (alert[2], "web-1 was killed")
    assert alert[1:] == ("out_of_memory", task[0], 5)


def test_a_container_that_is_killed_for_memory_opens_an_alert(cluster: FakeCluster, database_url: str) -> None:
    cluster.kill_for_memory("default", "eater", "main", restarts=1)
    with (
        psycopg.connect(database_url, autocommit=True) as database,
        CollectorThread(collector_settings(database_url, kubeconfig=cluster.kubeconfig, read_pods=True)),
    ):

        def alerts() -> list[Any]:
            return database.execute("SELECT rule, name, count FROM alert WHERE rule = 'oom_killed'").fetchall()

        cluster.put(event("eater", reason="BackOff", type="Warning", count=1))
        eventually(lambda: alerts() == [("oom_killed", "eater", 1)])

        cluster.kill_for_memory("default", "eater", "main", restarts=2)
        cluster.put(event("eater", reason="BackOff", type="Warning", count=2))
        eventually(lambda: alerts() == [("oom_killed", "eater", 2)])


def test_an_invalid_task_of_a_rule_is_refused_at_start(database_url: str) -> None:
    task = AlertTask(type="known", parameters={"n": "$object"})
    settings = Settings(
        database_url=SecretStr(database_url), alerts=AlertSettings(rules=(AlertRule(name="mine", task=task),))
    )
    schema = json.dumps({"type": "object", "properties": {"n": {"type": "integer"}}})
    columns = "name, description, queue, schema, max_attempts, retry"
    with psycopg.connect(database_url, autocommit=True) as database:
        database.execute(f"INSERT INTO task_type ({columns}) VALUES ('known', '', 'q', %s, 1, '{{}}')", [schema])

    with pytest.raises(InvalidSettings, match=r"TASKCORE_ALERTS__RULES: 0\.task\.parameters\.n: the value is not"):
        run(settings, threading.Event())
