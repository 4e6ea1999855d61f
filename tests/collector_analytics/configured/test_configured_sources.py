"""Configured metrics: queries on a product's database, and numbers in documents on the web."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector_analytics.collect_analytics import CollectionFailed, collect_all, configured_sources
from collector_analytics.validation import validate_configured_metrics
from harness.http_server import HttpServer, Response
from tests.collector_analytics import product_database
from tests.collector_analytics.analytics_harness import AnalyticsHarness
from tests.collector_analytics.product_settings import queries, settings_of


def counters(**by_name: Mapping[str, Any]) -> dict[str, Any]:
    return {"analytics": {"counters": by_name}}


def collect(analytics: AnalyticsHarness, sections: dict[str, Any]) -> None:
    ctx = analytics.context(**sections)
    collect_all(ctx, analytics.engine, list(configured_sources(ctx.settings)))


def values(analytics: AnalyticsHarness, metric: str) -> dict[tuple[str, ...], float]:
    """Return the samples by the values of their labels."""
    return {key[1:]: value for key, value in analytics.samples(metric).items()}


def test_the_metrics_of_a_product_are_collected(
    analytics: AnalyticsHarness, product_url: str, http_server: HttpServer
) -> None:
    body = json.dumps({"data": {"users/now": {"all": 3, "few": 1, "silent": None}}}).encode()
    url = http_server.on("GET", "/stats", Response(body=body))
    sections = queries(product_url, product_database.QUERIES, label="location")
    sections["analytics"]["counters"] = {
        "channelUsersByName": {
            "url": url,
            "pointer": "/data/users~1now",
            "label": "channel",
            "headers": {"Authorization": "Bearer secret"},
        }
    }
    validate_configured_metrics(settings_of(sections))

    collect(analytics, sections)

    assert {name: values(analytics, name) for name in product_database.QUERIES} == {
        "activeInstances": {(): 4},
        "activeLocations": {(): 3},
        "activeScenes": {(): 2},
        "activeChannels": {(): 2},
        "instanceUsers": {("cove",): 3, ("bay",): 1, ("glade",): 1},
        "channelUsers": {(): 3},
    }
    assert values(analytics, "channelUsersByName") == {("all",): 3, ("few",): 1}
    assert http_server.requests[0].headers["authorization"] == "Bearer secret"
    (labels,) = analytics.sql("SELECT labels FROM analytics_series WHERE metric = 'instanceUsers' ORDER BY id LIMIT 1")
    assert list(labels.labels) == ["location"]


def test_the_documented_settings_are_the_tested_ones() -> None:
    page = Path(__file__).parents[3] / "docs" / "analytics.md"
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)

    shown = yaml.safe_load(block)

    queries = {name: query["sql"].split() for name, query in shown["analytics"]["queries"].items()}
    assert queries == {name: sql.split() for name, sql in product_database.QUERIES.items()}
    assert settings_of(shown).analytics.counters["channelUsersByName"].pointer == "/data/users~1now"


def test_null_gives_no_sample(analytics: AnalyticsHarness, product_url: str) -> None:
    sql = {"mean": "SELECT avg(id) FROM scene WHERE id > 100", "none": "SELECT name, id FROM scene WHERE id > 100"}

    collect(analytics, queries(product_url, sql))

    assert analytics.sql("SELECT * FROM analytics_sample") == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT id FROM scene", "more than one number"),
        ("SELECT 'a', generate_series(1, 2000)", "more than 1000 rows"),
        ("SELECT 'a', generate_series(1, 2)", "two values"),
        ("WITH gone AS (DELETE FROM channel_user RETURNING 1) SELECT count(*) FROM gone", "read-only transaction"),
        ("SELECT 1 / (id - id) FROM scene", "division by zero"),
        ("SELECT 'NaN'::float8", "nan"),
    ],
)
def test_an_unusable_query_result_fails_its_source(
    analytics: AnalyticsHarness, product_url: str, sql: str, message: str
) -> None:
    with pytest.raises(CollectionFailed, match=f"^query:bad: .*{message}"):
        collect(analytics, queries(product_url, {"bad": sql, "good": "SELECT 1"}))

    assert (values(analytics, "bad"), values(analytics, "good")) == ({}, {(): 1})


def test_a_slow_query_is_cancelled(analytics: AnalyticsHarness, product_url: str) -> None:
    sections = queries(product_url, {"slow": "SELECT count(pg_sleep(60))"}, timeout_s=0.1)

    with pytest.raises(CollectionFailed, match="statement timeout"):
        collect(analytics, sections)


@pytest.mark.parametrize(
    ("response", "pointer", "message"),
    [
        (Response(500), "", "returned status 500"),
        (Response(302, headers={"Location": "/elsewhere"}), "", "returned status 302"),
        (Response(body=b'{"a": 1'), "/a", "truncated"),
        (Response(body=b'{"a": 1}'), "/b", "no value at '/b'"),
        (Response(body=b'{"a": "1"}'), "/a", "neither a number"),
        (Response(body=b'{"a": true}'), "/a", "neither a number"),
        (Response(body=b'{"a": {"b": []}}'), "/a", "neither a number"),
        (Response(body=b"[" + b"1," * 600_000 + b"1]"), "/0", "longer than"),
    ],
    ids=["failed", "moved", "cut", "missing", "text", "flag", "list", "long"],
)
def test_an_unusable_document_fails_its_source(
    analytics: AnalyticsHarness, http_server: HttpServer, response: Response, pointer: str, message: str
) -> None:
    bad = {"url": http_server.on("GET", "/bad", response), "pointer": pointer}
    good = {"url": http_server.on("GET", "/good", Response(body=b"7.5"))}

    with pytest.raises(CollectionFailed, match=f"^counter:bad: .*{message}"):
        collect(analytics, counters(bad=bad, good=good))

    assert (values(analytics, "bad"), values(analytics, "good")) == ({}, {(): 7.5})
