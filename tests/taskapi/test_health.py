"""Health, metrics, and the OpenAPI document."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
from litestar import Litestar
from prometheus_client import REGISTRY, generate_latest

import taskapi
from harness.ports import free_port
from taskapi.health import ApiHealth, health_server
from taskapi.runtime.database import POOL_SIZE, Database
from taskapi.runtime.services import Services
from taskcore.observability.exposition import build_registry
from taskcore.settings import HealthSettings, Settings
from taskcore.submission.spec import TaskSubmission
from tests.taskapi.api_helpers import submit, task_body


async def test_the_health_server_reports_the_api(api: httpx.AsyncClient, app: Litestar) -> None:
    running: Settings = app.state.services.settings.now
    settings = running.model_copy(update={"health": HealthSettings(port=free_port())})
    registry = build_registry("api", REGISTRY)

    async with health_server(app, settings, registry), httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{settings.health.port}"
        assert (await client.get(f"{url}/livez")).json() == {"status": "ok"}
        assert (await client.get(f"{url}/readyz")).json() == {"status": "ok"}
        app.state.services.draining.set()
        assert (await client.get(f"{url}/readyz")).json() == {"status": "not ready", "draining": True}
        assert "taskcore_build_info" in (await client.get(f"{url}/metrics")).text


async def test_the_process_is_ready_while_requests_use_all_connections_of_the_pool(
    api: httpx.AsyncClient, app: Litestar
) -> None:
    services: Services = app.state.services
    own = Database.from_settings(services.settings.now, pool_size=1)
    health = ApiHealth(services, own, asyncio.get_running_loop())

    async with AsyncExitStack() as stack:
        for _ in range(POOL_SIZE):
            await stack.enter_async_context(services.database.transaction())
        assert await asyncio.to_thread(health.is_ready)
    await own.close()


async def test_the_process_is_not_live_while_its_event_loop_hangs(app: Litestar) -> None:
    services: Services = app.state.services
    health = ApiHealth(services, services.database, asyncio.get_running_loop(), timeout_s=0.05)

    with ThreadPoolExecutor() as threads:
        assert not threads.submit(health.is_live).result()  # the loop waits here
    assert await asyncio.to_thread(health.is_live)


async def test_clients_of_the_api_see_no_internals(api: httpx.AsyncClient) -> None:
    for path in ("livez", "readyz", "healthcheck", "metrics"):
        assert (await api.get(f"http://api/{path}")).status_code == 404
    assert (await api.get("http://api/")).json()["openapi"] == "/openapi.json"


async def test_requests_are_counted_by_route_not_by_path(api: httpx.AsyncClient) -> None:
    task_id = await submit(api)
    await api.get(f"/tasks/{task_id}")
    await api.get("http://api/a-path-of-a-stranger")

    text = generate_latest(REGISTRY).decode()

    assert 'taskcore_http_requests_total{method="GET",route="/api/v1/tasks/{task_id}",status="200"}' in text
    assert 'route="unmatched",status="404"' in text
    assert "taskcore_tasks_submitted_total" in text
    assert "a-path-of-a-stranger" not in text


async def test_the_document_has_every_call_and_its_problems(api: httpx.AsyncClient) -> None:
    document = (await api.get("http://api/openapi.json")).json()

    operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    assert document["openapi"].startswith("3.1")
    assert {"submit_task", "submit_batch", "list_tasks", "wait_for_task", "cancel_task"} <= set(operations)
    for operation in operations.values():
        assert operation["summary"]
        assert operation["tags"]
        assert not any(status.startswith("5") and status != "503" for status in operation["responses"])
        headers = [header for response in operation["responses"].values() for header in response["headers"].values()]
        assert all(isinstance(header["description"], str) for header in headers)
    assert {"Location", "X-Request-Id"} == set(operations["submit_task"]["responses"]["201"]["headers"])
    problem = operations["submit_task"]["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert problem == {"$ref": "#/components/schemas/Problem"}


async def test_generators_of_clients_can_read_the_document(api: httpx.AsyncClient) -> None:
    """openapi-python-client and others expect `items` to be an object."""
    document = (await api.get("http://api/openapi.json")).json()

    schemas = list(walk(document["components"]["schemas"]))
    (pair,) = [schema for schema in schemas if "prefixItems" in schema]
    assert (len(pair["prefixItems"]), pair["minItems"], pair["maxItems"]) == (2, 2, 2)
    assert all(isinstance(schema.get("items", {}), dict) for schema in schemas)


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every object in `value`."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(below)


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
