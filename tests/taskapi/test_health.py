"""Health, metrics, and the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs

import taskapi
from taskcore.submission.spec import TaskSubmission
from tests.taskapi.api_helpers import submit, task_body


async def test_the_process_is_live_and_ready(api: httpx.AsyncClient) -> None:
    assert (await api.get("http://api/livez")).json() == {"status": "ok"}
    assert (await api.get("http://api/readyz")).json() == {"status": "ok"}
    assert (await api.get("http://api/healthcheck")).json()["uptime"] > 0
    assert (await api.get("http://api/")).json()["openapi"] == "/openapi.json"


async def test_requests_are_counted_by_route_not_by_path(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)
    await api.get(f"/tasks/{task_id}")
    await api.get("http://api/a-path-of-a-stranger")

    text = (await api.get("http://api/metrics")).text

    assert 'taskcore_http_requests_total{method="GET",route="/api/v1/tasks/{task_id}",status="200"}' in text
    assert 'route="unmatched",status="404"' in text
    assert "taskcore_tasks_submitted_total" in text
    assert "a-path-of-a-stranger" not in text


async def test_the_document_has_every_call_and_its_problems(api: httpx.AsyncClient) -> None:
    document = (await api.get("http://api/openapi.json")).json()

    operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    assert document["openapi"].startswith("3.1")
    assert {"submit_task", "submit_batch", "list_tasks", "wait_for_task", "cancel_task", "readyz"} <= set(operations)
    for operation in operations.values():
        assert operation["summary"]
        assert operation["tags"]
        assert not any(status.startswith("5") and status != "503" for status in operation["responses"])
        headers = [header for response in operation["responses"].values() for header in response["headers"].values()]
        assert all(isinstance(header["description"], str) for header in headers)
    assert {"Location", "X-Request-Id"} == set(operations["submit_task"]["responses"]["201"]["headers"])
    problem = operations["submit_task"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}


async def test_the_example_of_a_body_is_accepted(api: httpx.AsyncClient) -> None:
    document = (await api.get("http://api/openapi.json")).json()
    body = document["paths"]["/api/v1/tasks"]["post"]["requestBody"]["content"]["application/json"]

    assert (await api.post("/tasks", json=body["example"])).status_code == 201


async def test_the_schema_of_a_body_is_what_is_accepted(api: httpx.AsyncClient) -> None:
    document = (await api.get("http://api/openapi.json")).json()
    schema: dict[str, Any] = {**document["components"]["schemas"]["TaskSubmission"], "$defs": {}}
    validator = jsonschema_rs.Draft202012Validator(schema)

    assert validator.is_valid(task_body(labels={"k": "v"}, priority=-100))
    assert not validator.is_valid(task_body(labels={"": "v"}))
    assert not validator.is_valid(task_body(depends_on=[None]))
    assert not validator.is_valid(task_body(colour="red"))
    assert set(schema["properties"]) == set(TaskSubmission.__struct_fields__)


def test_the_api_does_not_import_the_broker() -> None:
    sources = Path(taskapi.__path__[0]).glob("**/*.py")

    assert not [s.name for s in sources if any(w in s.read_text() for w in ("dramatiq", "pika", "taskcore.messaging"))]
