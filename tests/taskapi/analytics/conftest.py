"""Fixtures for the tests of analytics."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime

import pytest

from tests.taskapi.api_helpers import Database

Samples = Mapping[datetime, float]
AddSeries = Callable[[str, Mapping[str, str], Samples], None]


@pytest.fixture
def add_series(database: Database) -> AddSeries:
    """Return a function that stores samples, as a collector does."""

    def add(metric: str, labels: Mapping[str, str], samples: Samples) -> None:
        row = database.execute(
            "INSERT INTO analytics_series (metric, labels) VALUES (%s, %s) RETURNING id", [metric, json.dumps(labels)]
        ).fetchone()
        assert row is not None
        for bucket, value in samples.items():
            database.execute("INSERT INTO analytics_sample VALUES (%s, %s, %s)", [row["id"], bucket, value])

    return add


@pytest.fixture
def metrics(database: Database) -> None:
    rows = [
        ("tasks", "", "gauge"),
        ("submitted", "", "count"),
        ("queue_oldest_age_seconds", "seconds", "gauge"),
        ("never_sampled", "", "gauge"),
    ]
    for name, unit, kind in rows:
        database.execute("INSERT INTO analytics_metric VALUES (%s, 'what it is', %s, %s, 'tests')", [name, unit, kind])
