"""Analytics over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.taskapi.analytics.conftest import AddSeries
from tests.taskapi.api_helpers import Database, field_errors_of, problem_of

#: A midnight.
DAY = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return DAY + hours * HOUR


async def ask(api: httpx.AsyncClient, metric: str, *labels: str, **given: Any) -> dict[str, Any]:
    """Return the response for the day, or for the parameters `given`."""
    when = {"from": at(0).isoformat(), "to": at(24).isoformat()}
    response = await api.get("/analytics", params={"metric": metric, "label": list(labels), **when, **given})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def values(answer: dict[str, Any]) -> list[tuple[dict[str, str], list[float]]]:
    return [(series["labels"], [value for _, value in series["points"]]) for series in answer["series"]]


@pytest.mark.usefixtures("metrics")
async def test_metrics_have_their_labels_and_times(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("tasks", {"status": "queued", "type": "noop"}, {at(1): 5, at(9): 6})
    add_series("tasks", {"status": "failed"}, {at(0): 1})

    items = {item["name"]: item for item in (await api.get("/analytics/metrics")).json()["items"]}

    assert items["tasks"] == {
        "name": "tasks",
        "description": "what it is",
        "unit": "",
        "kind": "gauge",
        "labels": ["status", "type"],
        "series": 2,
        "first_at": "2026-03-01T00:00:00Z",
        "last_at": "2026-03-01T09:00:00Z",
    }
    assert [items["never_sampled"][name] for name in ("labels", "series", "first_at", "last_at")] == [[], 0, None, None]
    assert list(items) == sorted(items)


@pytest.mark.usefixtures("metrics")
async def test_a_count_is_summed_and_a_gauge_averaged(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("submitted", {"type": "noop"}, {at(-1): 100, at(0): 1, at(23.5): 2, at(24): 100})
    add_series("tasks", {}, {at(0): 1, at(1): 6, at(2): 2})

    submitted, tasks = await ask(api, "submitted"), await ask(api, "tasks")

    assert submitted == {
        "metric": "submitted",
        "unit": "",
        "kind": "count",
        "from": "2026-03-01T00:00:00Z",
        "to": "2026-03-02T00:00:00Z",
        "bucket_s": 86_400,
        "aggregation": "sum",
        "across": None,
        "series": [{"labels": {"type": "noop"}, "points": [["2026-03-01T00:00:00Z", 3.0]]}],
    }
    assert (tasks["aggregation"], values(tasks)) == ("avg", [({}, [3.0])])


@pytest.mark.usefixtures("metrics")
async def test_another_aggregation_can_be_selected(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("tasks", {}, {at(2): 2, at(0): 1, at(1): 6})

    for aggregation, value in {"sum": 9, "avg": 3, "min": 1, "max": 6, "last": 2}.items():
        assert values(await ask(api, "tasks", aggregation=aggregation)) == [({}, [value])]


@pytest.mark.usefixtures("metrics")
async def test_buckets_are_aligned_to_the_epoch_and_empty_ones_are_omitted(
    api: httpx.AsyncClient, add_series: AddSeries
) -> None:
    add_series("submitted", {}, {at(0.5): 1, at(1): 2, at(1.5): 4, at(7): 8})

    hours = await ask(api, "submitted", bucket=3600)
    weeks = await ask(api, "submitted", bucket=7 * 86_400)

    assert hours["series"][0]["points"] == [
        ["2026-03-01T00:00:00Z", 1],
        ["2026-03-01T01:00:00Z", 6],
        ["2026-03-01T07:00:00Z", 8],
    ]
    assert weeks["series"][0]["points"] == [["2026-02-26T00:00:00Z", 15]]


@pytest.mark.usefixtures("metrics")
async def test_a_range_is_extended_to_whole_buckets(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("submitted", {}, {at(hour): 1 for hour in range(-24, 72)})

    given = {"from": "2026-03-01T13:00:00+01:00", "to": "2026-03-02T00:00:00.5Z"}
    answer = await ask(api, "submitted", **given)

    assert (answer["from"], answer["to"]) == ("2026-03-01T00:00:00Z", "2026-03-03T00:00:00Z")
    assert values(answer) == [({}, [24, 24])]


@pytest.mark.usefixtures("metrics")
async def test_the_default_range_is_the_last_30_days_by_day(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    now = datetime.now(UTC)
    add_series("submitted", {}, {now - timedelta(days=days): 1 for days in range(33)})

    answer = (await api.get("/analytics", params={"metric": "submitted"})).json()

    assert answer["bucket_s"] == 86_400
    assert values(answer) == [({}, [1] * 31)]


@pytest.mark.usefixtures("metrics")
async def test_labels_select_series(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    for number, labels in enumerate([{"type": "a", "queue": "x"}, {"type": "a", "queue": "y"}, {"type": "b"}, {}]):
        add_series("submitted", labels, {at(1): number})

    assert [labels for labels, _ in values(await ask(api, "submitted"))] == [
        {},
        {"type": "b"},
        {"queue": "x", "type": "a"},
        {"queue": "y", "type": "a"},
    ]
    assert values(await ask(api, "submitted", "type=a", "queue=y")) == [({"type": "a", "queue": "y"}, [1])]
    assert values(await ask(api, "submitted", "type=c")) == []


@pytest.mark.usefixtures("metrics")
async def test_grouped_series_are_summed_at_each_moment_first(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("tasks", {"status": "queued", "type": "a"}, {at(0): 10, at(1): 20})
    add_series("tasks", {"status": "queued", "type": "b"}, {at(0): 1, at(1): 3})
    add_series("tasks", {"status": "failed", "type": "a"}, {at(0): 7})

    by_status = await ask(api, "tasks", group_by="status")
    highest = await ask(api, "tasks", group_by="status", aggregation="max")
    together = await ask(api, "tasks", group_by="")
    both = await ask(api, "tasks", group_by=["type", "status"])
    greatest = await ask(api, "tasks", group_by="status", across="max")

    assert by_status["across"] == "sum"
    assert values(by_status) == [({"status": "failed"}, [7]), ({"status": "queued"}, [17])]
    assert values(highest) == [({"status": "failed"}, [7]), ({"status": "queued"}, [23])]
    assert values(together) == [({}, [20.5])]
    assert len(values(both)) == 3
    assert values(greatest) == [({"status": "failed"}, [7]), ({"status": "queued"}, [15])]


@pytest.mark.usefixtures("metrics")
async def test_the_greatest_age_of_a_group_counts(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    for queue, age in (("a", 5), ("b", 60)):
        add_series("queue_oldest_age_seconds", {"queue": queue}, {at(0): age})

    answer = await ask(api, "queue_oldest_age_seconds", group_by="")

    assert (answer["across"], values(answer)) == ("max", [({}, [60])])


@pytest.mark.usefixtures("metrics")
async def test_a_series_without_the_label_of_a_group_omits_it(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("submitted", {"type": "a"}, {at(0): 1})
    add_series("submitted", {"queue": "x"}, {at(0): 2})

    assert values(await ask(api, "submitted", group_by="type")) == [({}, [2]), ({"type": "a"}, [1])]


BAD_QUESTIONS: list[tuple[dict[str, Any], str]] = [
    ({"from": "yesterday"}, "from"),
    ({"to": "2026-03-01T00:00:00"}, "to"),
    ({"from": "2026-03-02T00:00:00Z", "to": "2026-03-02T00:00:00Z"}, "from"),
    ({"from": "1969-12-31T00:00:00Z"}, "from"),
    ({"to": "9999-12-31T00:00:00Z"}, "to"),
    ({"bucket": 0}, "bucket"),
    ({"bucket": 367 * 86_400}, "bucket"),
    ({"aggregation": "median"}, "aggregation"),
    ({"across": "last"}, "across"),
    ({"label": "type"}, "label"),
    ({"label": "colour=red"}, "label"),
    ({"label": ["type=a", "type=b"]}, "label"),
    ({"group_by": "colour"}, "group_by"),
    ({"metric": ""}, "metric"),
    ({"until": "2026-03-02T00:00:00Z"}, "until"),
]


@pytest.mark.usefixtures("metrics")
async def test_an_invalid_parameter_is_named(api: httpx.AsyncClient, add_series: AddSeries) -> None:
    add_series("submitted", {"type": "a"}, {at(0): 1})

    for given, field in BAD_QUESTIONS:
        assert list(field_errors_of(await api.get("/analytics", params={"metric": "submitted", **given}))) == [field]


async def test_a_metric_must_be_named_and_exist(api: httpx.AsyncClient) -> None:
    assert list(field_errors_of(await api.get("/analytics"))) == ["metric"]
    problem_of(await api.get("/analytics", params={"metric": "taskz"}), 404, "metric_not_found")


@pytest.mark.usefixtures("metrics")
async def test_a_range_without_samples_is_empty(api: httpx.AsyncClient) -> None:
    assert values(await ask(api, "never_sampled", group_by="any")) == []


@pytest.mark.usefixtures("metrics")
async def test_30_days_of_a_hundred_series_are_returned_and_more_than_10000_points_refused(
    api: httpx.AsyncClient, database: Database
) -> None:
    database.execute(
        "INSERT INTO analytics_series (metric, labels)"
        " SELECT 'submitted', jsonb_build_object('type', 't' || n) FROM generate_series(1, 100) n"
    )
    database.execute(
        "INSERT INTO analytics_sample SELECT id, at, 1 FROM analytics_series,"
        " generate_series('2026-03-01Z'::timestamptz, '2026-03-30 23:30Z', interval '30 minutes') at"
    )
    month = {"from": "2026-03-01T00:00:00Z", "to": "2026-03-31T00:00:00Z"}

    days = await ask(api, "submitted", **month)
    together = await ask(api, "submitted", group_by="", bucket=1800, **month)
    hours = await api.get("/analytics", params={"metric": "submitted", "bucket": 3600, **month})

    assert [points for _, points in values(days)] == [[48] * 30] * 100
    assert values(together) == [({}, [100] * 30 * 48)]
    assert list(field_errors_of(hours)) == ["bucket"]
