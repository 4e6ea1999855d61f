"""Alerts over HTTP, and the rules that open them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert

from taskcore.db.engine import sync_engine
from taskcore.db.models import Alert
from tests.collector_k8s.event_rows import AT
from tests.taskapi.api_helpers import Database, field_errors_of, problem_of

RULES = "/settings/alerts.rules"


@pytest.fixture
def collected(database_url: str) -> Iterator[Connection]:
    engine = sync_engine(database_url, name="tests", pool_size=1)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def store_alert(connection: Connection, name: str, **members: Any) -> int:
    """Store an alert about the pod `name`, and return its id."""
    alert = {
        "rule": "warning",
        "cluster": "home",
        "namespace": "shop",
        "kind": "Pod",
        "name": name,
        "reason": "BackOff",
        "type": "Warning",
        "message": "Back-off restarting",
        "count": 3,
        "first_at": AT,
        "last_at": AT,
        **members,
    }
    return int(connection.execute(insert(Alert).values(alert).returning(Alert.id)).scalar_one())


async def names(api: httpx.AsyncClient, **query: Any) -> list[str]:
    response = await api.get("/alerts", params=query)
    assert response.status_code == 200, response.text
    return [item["name"] for item in response.json()["items"]]


async def test_open_alerts_are_listed_the_last_opened_first(api: httpx.AsyncClient, collected: Connection) -> None:
    store_alert(collected, "a", task_id=7)
    store_alert(collected, "b", resolved_at=AT, resolved_by="inactivity")
    store_alert(collected, "c")

    assert await names(api) == ["c", "a"]
    assert await names(api, status="resolved") == ["b"]
    assert await names(api, status="all") == ["c", "b", "a"]
    first = (await api.get("/alerts", params={"name": "a"})).json()["items"][0]
    assert (first["count"], first["task_id"], first["rule"], first["resolved_at"]) == (3, 7, "warning", None)


async def test_alerts_are_filtered(api: httpx.AsyncClient, collected: Connection) -> None:
    store_alert(collected, "a", cluster="other")
    store_alert(collected, "b", namespace="bank")
    store_alert(collected, "c", kind="Node")
    store_alert(collected, "d", reason="Failed")

    assert await names(api, cluster="other") == ["a"]
    assert await names(api, namespace="bank") == ["b"]
    assert await names(api, kind=["Node", "Job"]) == ["c"]
    assert await names(api, reason="Failed") == ["d"]
    assert await names(api, name=["a", "d"]) == ["d", "a"]


async def test_pages_continue_while_alerts_open_and_following_returns_those_once(
    api: httpx.AsyncClient, collected: Connection
) -> None:
    for name in "abc":
        store_alert(collected, name)

    first = (await api.get("/alerts", params={"limit": 2})).json()
    for name in "def":
        store_alert(collected, name)
    second = (await api.get("/alerts", params={"limit": 2, "before": first["next_before"]})).json()
    new = (await api.get("/alerts", params={"limit": 2, "after": first["next_after"]})).json()
    rest = (await api.get("/alerts", params={"after": new["next_after"]})).json()
    nothing = (await api.get("/alerts", params={"after": rest["next_after"]})).json()

    pages = (first, second, new, rest, nothing)
    assert ["".join(item["name"] for item in page["items"]) for page in pages] == ["cb", "a", "de", "f", ""]
    assert [page["has_more"] for page in pages] == [True, False, True, False, False]
    assert (second["next_before"], nothing["next_after"]) == (None, rest["next_after"])


async def test_resolving_closes_an_alert_once(api: httpx.AsyncClient, collected: Connection) -> None:
    alert_id = store_alert(collected, "a")

    resolved = await api.post(f"/alerts/{alert_id}/resolve", headers={"X-Taskcore-User": "ann"})

    assert resolved.status_code == 200
    assert resolved.json()["resolved_by"] == "user:ann"
    assert resolved.json()["resolved_at"]
    again = problem_of(await api.post(f"/alerts/{alert_id}/resolve"), 409, "alert_resolved")
    assert again["detail"] == f"Alert {alert_id} was resolved by user:ann."
    problem_of(await api.post("/alerts/99999/resolve"), 404, "alert_not_found")


async def test_an_invalid_query_is_named(api: httpx.AsyncClient) -> None:
    assert "status" in field_errors_of(await api.get("/alerts", params={"status": "closed"}))
    assert "after" in field_errors_of(await api.get("/alerts", params={"before": 1, "after": 1}))
    assert "before" in field_errors_of(await api.get("/alerts", params={"before": "x"}))


async def test_rules_whose_task_matches_its_type_are_accepted(api: httpx.AsyncClient) -> None:
    task = {"type": "greet", "parameters": {"whom": "$object", "times": 2}, "name": "$kind $object"}
    rules = [{"name": "mine", "types": ["Warning"], "task": task}, {"name": "others"}]

    changed = await api.put(RULES, json={"value": rules})

    assert changed.status_code == 200, changed.text
    assert changed.json()["value"] == rules


@pytest.mark.parametrize(
    ("task", "field", "said"),
    [
        ({"type": "gret"}, "value[1].task.type", "unknown task type 'gret': no worker has registered it"),
        ({"type": "greet"}, "value[1].task.parameters", '"whom" is a required property'),
        ({"type": "greet", "parameters": {"whom": 5}}, "value[1].task.parameters.whom", "is not of type"),
        (
            {"type": "greet", "parameters": {"whom": "x", "times": "$object"}},
            "value[1].task.parameters.times",
            "is not of type",
        ),
        (
            {"type": "greet", "parameters": {"whom": "$objct"}},
            "value[1].task.parameters",
            "whom: uses unknown $objct; available: $cluster, $namespace,",
        ),
        ({"type": "noop", "name": "5 $"}, "value[1].task.name", "has a $ that does not start a name"),
    ],
)
async def test_a_rule_whose_task_could_not_run_is_refused(
    api: httpx.AsyncClient, database: Database, task: dict[str, Any], field: str, said: str
) -> None:
    refused = field_errors_of(await api.put(RULES, json={"value": [{"name": "first"}, {"name": "mine", "task": task}]}))

    assert said in refused[field]
    assert database.execute("SELECT 1 FROM setting").fetchall() == []


async def test_two_rules_with_the_same_name_are_refused(api: httpx.AsyncClient) -> None:
    refused = field_errors_of(await api.put(RULES, json={"value": [{"name": "mine"}, {"name": "mine"}]}))

    assert refused == {"value": "two rules are named mine"}
