"""The client's models have the fields that the API's OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import SecretStr

from taskapi.app import create_app
from taskclient import models
from taskclient.analytics.models import Analytics, Metric
from taskclient.kubernetes.models import Alert, AlertPage, EventPage, KubernetesEvent
from taskclient.models import GrowingPage, Items, Page
from taskclient.schedules.models import (
    NewSchedule,
    Schedule,
    ScheduleFirePage,
    SchedulePage,
    SchedulePreview,
    ScheduleRun,
)
from taskclient.traces.models import TaskTrace
from taskcore.settings import Settings
from tests.taskapi.conftest import transport_to

Schema = dict[str, Any]

#: What each operation returns, by its operation id. None: it returns no body.
RESPONSES: dict[str, Any] = {
    "submit_task": models.Task,
    "submit_batch": models.BatchAnswer,
    "list_tasks": models.TaskPage,
    "count_tasks": models.StatusCounts,
    "get_task": models.Task,
    "get_task_history": Page[models.HistoryEntry],
    "get_task_attempts": Page[models.Attempt],
    "wait_for_task": models.Task,
    "get_task_trace": TaskTrace,
    "get_task_logs": GrowingPage[models.LogLine, str],
    "list_dependencies": Page[models.RelatedTask],
    "list_dependents": Page[models.RelatedTask],
    "cancel_task": models.Task,
    "pause_task": models.Task,
    "resume_task": models.Task,
    "retry_task": models.Task,
    "delete_task": None,
    "list_task_types": Items[models.TaskType],
    "list_workers": Items[models.Worker],
    "list_queues": Items[models.Queue],
    "pause_queue": models.Queue,
    "resume_queue": models.Queue,
    "delete_queue": None,
    "list_settings": Items[models.Setting],
    "get_setting": models.Setting,
    "set_setting": models.Setting,
    "unset_setting": models.Setting,
    "list_events": EventPage,
    "list_event_versions": Page[KubernetesEvent],
    "list_task_events": GrowingPage[KubernetesEvent, int],
    "list_alerts": AlertPage,
    "resolve_alert": Alert,
    "list_metrics": Items[Metric],
    "get_analytics": Analytics,
    "list_schedules": SchedulePage,
    "get_schedule": Schedule,
    "list_schedule_fires": ScheduleFirePage,
    "preview_schedule": SchedulePreview,
    "preview_recurrence": SchedulePreview,
    "create_schedule": Schedule,
    "change_schedule": Schedule,
    "delete_schedule": None,
    "pause_schedule": Schedule,
    "resume_schedule": Schedule,
    "run_schedule": ScheduleRun,
}
BODIES = {"submit_task": models.NewTask, "create_schedule": NewSchedule}
#: Fields that the client does not use.
IGNORED = {"Problem.type"}


@pytest.fixture
async def document() -> Schema:
    app = create_app(Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none")))
    async with httpx.AsyncClient(transport=transport_to(app)) as client:
        found: Schema = (await client.get("http://api/openapi.json")).json()
        return found


async def test_client_has_a_method_for_every_operation(document: Schema) -> None:
    names = {operation["operationId"] for path, operation in operations(document) if path.startswith("/api/")}

    assert names == set(RESPONSES)


async def test_response_models_have_the_documented_fields(document: Schema) -> None:
    schemas = document["components"]["schemas"]
    for _, operation in operations(document):
        model = RESPONSES.get(operation["operationId"])
        if model is not None:
            response = next(operation["responses"][code] for code in ("200", "201") if code in operation["responses"])
            compare(response["content"]["application/json"]["schema"], schemas, *schema_of(model))


async def test_request_models_have_the_documented_fields(document: Schema) -> None:
    schemas = document["components"]["schemas"]
    for _, operation in operations(document):
        if (model := BODIES.get(operation["operationId"])) is not None:
            body = operation["requestBody"]["content"]["application/json"]["schema"]
            compare(body, schemas, *schema_of(model))


async def test_problems_and_statuses_are_the_documented_ones(document: Schema) -> None:
    schemas = document["components"]["schemas"]

    compare({"$ref": "#/components/schemas/Problem"}, schemas, *schema_of(models.Problem))
    assert set(schemas["Status"]["enum"]) == set(models.Status)


def operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    return ((path, operation) for path, methods in document["paths"].items() for operation in methods.values())


def schema_of(model: Any) -> tuple[Schema, dict[str, Schema]]:
    (schema,), components = msgspec.json.schema_components((model,), ref_template="#/components/schemas/{name}")
    return schema, components


def compare(
    documented: Schema, documented_schemas: dict[str, Schema], modelled: Schema, modelled_schemas: dict[str, Schema]
) -> None:
    """Compare the names of the fields of two schemas, and of the schemas that they refer to."""
    expected, found = resolve(documented, documented_schemas), resolve(modelled, modelled_schemas)
    title = found.get("title", "")
    fields = {name for name in expected.get("properties", {}) if f"{title}.{name}" not in IGNORED}
    if "properties" in found:
        assert set(found["properties"]) == fields, title
        for name, schema in found["properties"].items():
            compare(expected["properties"][name], documented_schemas, schema, modelled_schemas)
    if "items" in found and isinstance(found["items"], dict):
        compare(expected["items"], documented_schemas, found["items"], modelled_schemas)


def resolve(schema: Schema, schemas: dict[str, Schema]) -> Schema:
    """Follow a reference, also in an optional field."""
    options: list[Schema] = schema.get("anyOf") or schema.get("oneOf") or []
    alternatives = [option for option in options if option != {"type": "null"}]
    if len(alternatives) == 1:
        return resolve(alternatives[0], schemas)
    if "$ref" in schema:
        return schemas[schema["$ref"].rpartition("/")[2]]
    return schema
