"""Attributes of our spans, by OpenTelemetry's semantic conventions (databases 1.33, messaging 1.40)."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.semconv.attributes import db_attributes as db

Attributes = Mapping[str, str | int | float | bool]

#: `service.namespace` of all processes of Taskcore.
NAMESPACE = "taskcore"
TASK_ID = "taskcore.task.id"
OUTCOME = "taskcore.attempt.outcome"


def statement_attributes(operation: str, table: str) -> Attributes:
    """Return the attributes of a statement on Taskcore's own database."""
    return {
        db.DB_SYSTEM_NAME: "postgresql",
        db.DB_OPERATION_NAME: operation,
        db.DB_COLLECTION_NAME: table,
        db.DB_QUERY_SUMMARY: f"{operation} {table}",
    }


def message_attributes(operation: str, kind: str, queue: str, task_id: int) -> Attributes:
    """Return a message's attributes. `operation` is our name, `kind` (`send`, `process`) the conventions'."""
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        "messaging.destination.name": queue,
        "messaging.message.id": str(task_id),
    }


def task_attributes(task_id: int, type_: str, attempt: int) -> Attributes:
    return {TASK_ID: task_id, "taskcore.task.type": type_, "taskcore.task.attempt": attempt}
