"""Errors, history and results of tasks are stored without secrets, as lines are logged."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from taskcore.plugins import Cancel, Fail, RetryAfter, TaskContext
from taskcore.settings import LogSettings, Settings
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.execution.executor_harness import ExecutorHarness, NumberParameters

URL = "postgresql://app:S3cret@db/x"


def everything_about_tasks(db: DatabaseHarness) -> str:
    tables = ("task", "task_history", "task_attempt")
    found = [db.sql(f"SELECT to_jsonb({table}) AS row FROM {table}") for table in tables]
    return json.dumps([row.row for rows in found for row in rows])


def raise_with_cause(ctx: TaskContext, params: NumberParameters) -> object:
    try:
        raise ConnectionError(f"{URL} is down")
    except ConnectionError as exc:
        raise ValueError("x" * 8_160 + URL + "y" * 20_000) from exc


@pytest.mark.parametrize("returned", [None, Fail(URL), Cancel(URL), {"url": URL, "password": "S3cret"}, [URL]], ids=str)
def test_no_secret_of_a_plugin_is_stored(harness: ExecutorHarness, returned: object) -> None:
    harness.run(lambda ctx, params: returned if returned else raise_with_cause(ctx, params), max_attempts=1)

    text = everything_about_tasks(harness.db)
    assert "S3cret" not in text
    assert "***" in text


def test_retry_is_recorded_without_secrets(harness: ExecutorHarness) -> None:
    harness.run(lambda ctx, params: RetryAfter(timedelta(seconds=1), URL))

    assert "app:***@db" in everything_about_tasks(harness.db)
    assert "S3cret" not in everything_about_tasks(harness.db)


def test_deep_results_are_redacted_and_otherwise_kept(harness: ExecutorHarness) -> None:
    deep: Any = {"token": "S3cret", "n": 1}
    for _ in range(60):
        deep = [deep]

    result = harness.run(lambda ctx, params: deep).result

    for _ in range(60):
        (result,) = result
    assert result == {"token": "***", "n": 1}


def test_results_can_be_stored_as_they_are(db: DatabaseHarness) -> None:
    harness = ExecutorHarness(db, settings=Settings(log=LogSettings(redact_results=False)))

    assert harness.run(lambda ctx, params: {"token": "S3cret", "url": URL}).result == {"token": "S3cret", "url": URL}
