"""The operator's own metrics: queries on a product's database, and numbers in documents on the web."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from collector_analytics.collect_analytics import CollectionFailed, collect_all
from collector_analytics.configured.json_pointer import resolve_pointer
from collector_analytics.configured.sources import configured_sources
from collector_analytics.validation import validate_configured_metrics
from harness.http_server import HttpServer, Response
from harness.postgres import PostgresDatabases
from taskcore.errors import InvalidSettings
from taskcore.settings import Settings, load_settings
from tests.collector_analytics import product_database
from tests.collector_analytics.analytics_harness import AnalyticsHarness


@pytest.fixture
def product_url(postgres_server: PostgresDatabases) -> Iterator[str]:
    with postgres_server.fresh_database() as url:
        product_database.build(url)
        yield url


def queries(url: str, given: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """The settings' sections with these queries."""
    return {
        "databases": {"product": {"url": url, "read_only": False}},
        "analytics": {"queries": {name: {"database": "product", "sql": sql, **more} for name, sql in given.items()}},
    }


def counters(**given: Mapping[str, Any]) -> dict[str, Any]:
    return {"analytics": {"counters": given}}


def collected(house: AnalyticsHarness, sections: dict[str, Any]) -> None:
    ctx = house.context(**sections)
    collect_all(ctx, house.engine, list(configured_sources(ctx.settings)))


def seen(house: AnalyticsHarness, metric: str) -> dict[tuple[str, ...], float]:
    """By the labels' values."""
    return {key[1:]: value for key, value in house.samples(metric).items()}


def settings_of(sections: dict[str, Any]) -> Settings:
    return Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"), **sections)


def test_a_product_collects_its_instances_locations_scenes_channels_and_users(
    house: AnalyticsHarness, product_url: str, http_server: HttpServer
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

    collected(house, sections)

    assert {name: seen(house, name) for name in product_database.QUERIES} == {
        "activeInstances": {(): 4},
        "activeLocations": {(): 3},
        "activeScenes": {(): 2},
        "activeChannels": {(): 2},
        "instanceUsers": {("cove",): 3, ("bay",): 1, ("glade",): 1},
        "channelUsers": {(): 3},
    }
    assert seen(house, "channelUsersByName") == {("all",): 3, ("few",): 1}
    assert http_server.requests[0].headers["authorization"] == "Bearer secret"
    (labels,) = house.sql("SELECT labels FROM analytics_series WHERE metric = 'instanceUsers' ORDER BY id LIMIT 1")
    assert list(labels.labels) == ["location"]


def test_the_settings_that_the_documentation_shows_are_those_that_are_tested() -> None:
    page = Path(__file__).parents[2] / "docs" / "analytics.md"
    (block,) = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)

    shown = yaml.safe_load(block)

    queries = {name: query["sql"].split() for name, query in shown["analytics"]["queries"].items()}
    assert queries == {name: sql.split() for name, sql in product_database.QUERIES.items()}
    assert settings_of(shown).analytics.counters["channelUsersByName"].pointer == "/data/users~1now"


def test_no_number_is_no_sample(house: AnalyticsHarness, product_url: str) -> None:
    given = {"mean": "SELECT avg(id) FROM scene WHERE id > 100", "none": "SELECT name, id FROM scene WHERE id > 100"}

    collected(house, queries(product_url, given))

    assert house.sql("SELECT * FROM analytics_sample") == []


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
def test_an_answer_that_is_no_metric_is_that_source_s_error(
    house: AnalyticsHarness, product_url: str, sql: str, message: str
) -> None:
    with pytest.raises(CollectionFailed, match=f"^query:bad: .*{message}"):
        collected(house, queries(product_url, {"bad": sql, "good": "SELECT 1"}))

    assert (seen(house, "bad"), seen(house, "good")) == ({}, {(): 1})


def test_a_query_that_takes_too_long_is_cancelled(house: AnalyticsHarness, product_url: str) -> None:
    sections = queries(product_url, {"slow": "SELECT count(pg_sleep(60))"}, timeout_s=0.1)

    with pytest.raises(CollectionFailed, match="statement timeout"):
        collected(house, sections)


@pytest.mark.parametrize(
    ("response", "pointer", "message"),
    [
        (Response(500), "", "answered 500"),
        (Response(302, headers={"Location": "/elsewhere"}), "", "answered 302"),
        (Response(body=b'{"a": 1'), "/a", "truncated"),
        (Response(body=b'{"a": 1}'), "/b", "nothing at '/b'"),
        (Response(body=b'{"a": "1"}'), "/a", "neither a number"),
        (Response(body=b'{"a": true}'), "/a", "neither a number"),
        (Response(body=b'{"a": {"b": []}}'), "/a", "neither a number"),
        (Response(body=b"[" + b"1," * 600_000 + b"1]"), "/0", "longer than"),
    ],
    ids=["failed", "moved", "cut", "not there", "text", "flag", "list", "long"],
)
def test_a_document_that_has_no_number_is_that_source_s_error(
    house: AnalyticsHarness, http_server: HttpServer, response: Response, pointer: str, message: str
) -> None:
    bad = {"url": http_server.on("GET", "/bad", response), "pointer": pointer}
    good = {"url": http_server.on("GET", "/good", Response(body=b"7.5"))}

    with pytest.raises(CollectionFailed, match=f"^counter:bad: .*{message}"):
        collected(house, counters(bad=bad, good=good))

    assert (seen(house, "bad"), seen(house, "good")) == ({}, {(): 7.5})


def test_pointers_find_what_rfc_6901_says_they_do() -> None:
    document = {"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, " ": 7, "k": {"01": 5}}

    pointers = ("", "/foo/0", "/", "/a~1b", "/m~0n", "/ ", "/k/01")
    found = [resolve_pointer(document, pointer) for pointer in pointers]

    assert found == [document, "bar", 0, 1, 8, 7, 5]
    for nowhere in ("/foo/2", "/foo/-", "/foo/00", "/foo/bar", "/b", "/a~1b/c"):
        with pytest.raises(LookupError):
            resolve_pointer(document, nowhere)


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT name FROM scene", "the query's column 'name' is not a number"),
        ("SELECT id, name FROM scene", "the query's column 'name' is not a number"),
        ("SELECT name, id, id FROM scene", "answers 3 columns"),
        ("DELETE FROM scene", "answers 0 columns"),
        ("SELECT count(*) FROM scenery", 'relation "scenery" does not exist'),
        ("SELECT count(*) FROM scene; SELECT 1", "multiple commands"),
        ("SELECT count(*) FROM scene WHERE id = $1", "has parameters"),
        ("SELECT now()", "is not a number"),
    ],
)
def test_a_query_that_cannot_be_a_metric_is_refused_at_start_by_its_setting(
    product_url: str, sql: str, message: str
) -> None:
    settings = settings_of(queries(product_url, {"activeScenes": sql, "good": "SELECT name, id FROM scene"}))

    with pytest.raises(InvalidSettings) as refused:
        validate_configured_metrics(settings)

    (line,) = str(refused.value).splitlines()
    assert line.startswith("TASKCORE_ANALYTICS__QUERIES__ACTIVESCENES__SQL: ")
    assert message in line


def test_nothing_is_run_when_a_query_is_checked(product_url: str) -> None:
    validate_configured_metrics(settings_of(queries(product_url, {"slow": "SELECT count(pg_sleep(600))"})))


def test_an_unknown_database_and_a_name_that_is_taken_are_refused_at_start(product_url: str) -> None:
    sections = queries(product_url, {"tasks": "SELECT 1", "twice": "SELECT 1"})
    sections["analytics"]["queries"]["lost"] = {"database": "porduct", "sql": "SELECT 1"}
    sections["analytics"]["counters"] = {"twice": {"url": "http://localhost"}}

    with pytest.raises(InvalidSettings) as refused:
        validate_configured_metrics(settings_of(sections))

    assert str(refused.value).splitlines() == [
        "TASKCORE_ANALYTICS__QUERIES__TASKS: there is another metric of this name",
        "TASKCORE_ANALYTICS__QUERIES__TWICE: there is another metric of this name",
        "TASKCORE_ANALYTICS__COUNTERS__TWICE: there is another metric of this name",
        "TASKCORE_ANALYTICS__QUERIES__LOST__DATABASE: no database is configured as 'porduct'; configured: product",
    ]


def test_a_database_that_is_away_does_not_keep_the_collector_from_starting() -> None:
    validate_configured_metrics(settings_of(queries("postgresql://nobody@127.0.0.1:1/none", {"any": "SELECT 1"})))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTER", '{"url": "http://localhost", "pointer": "data/users"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTER", '{"url": "http://localhost", "pointer": "/data~2"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__URL", '{"url": "localhost"}'),
        ("TASKCORE_ANALYTICS__COUNTERS__USERS__POINTR", '{"url": "http://localhost", "pointr": ""}'),
    ],
)
def test_a_counter_that_makes_no_sense_is_refused_by_its_setting(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv("TASKCORE_ANALYTICS__COUNTERS", f'{{"users": {value}}}')

    with pytest.raises(InvalidSettings, match=f"^{variable}: "):
        load_settings()
