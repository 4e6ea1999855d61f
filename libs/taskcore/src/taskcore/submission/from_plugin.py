"""What an attempt may do with other tasks: submit one, and see how one stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import msgspec
from sqlalchemy import Executable

from taskcore.db.tasks import queries, submit
from taskcore.db.workers import workers
from taskcore.domain.tasks import MAX_TASK_BYTES, NewTask
from taskcore.errors import InvalidTask
from taskcore.observability.tracing.propagation import current_traceparent, trace_id_of
from taskcore.submission.spec import TaskSubmission, new_task, storage_errors

MAX_ERRORS = 5
MAX_IDEMPOTENCY_KEY = 255

#: What is nobody's business but Taskcore's own.
_HIDDEN = {
    "fingerprint",
    "isolated",
    "lease_token",
    "executor",
    "delete_at",
    "checkpoint",
    "dependents_state",
    "trace_context",
}
#: What clients know by another name than the table.
_NAMES = {"timeout_s": "timeout", "delete_after_s": "delete_after"}

#: Runs a statement with these parameters, and answers its rows.
ExecuteStatement = Callable[[Executable, Mapping[str, Any]], list[Any]]


def submit_task(execute: ExecuteStatement, document: Mapping[str, Any], actor: str) -> int:
    """Store the task that `document` describes as for `POST /tasks`, plus an `idempotency_key`. Return its id.

    Raises:
        InvalidTask: if the API would refuse it, or if it depends on other tasks, which only the API can check.
    """
    submission, key = parse_submission(document)
    rows = execute(workers.get_type(), {"type_name": submission.type})
    if not rows:
        raise InvalidTask(f"type: unknown task type {submission.type!r}: no worker has registered it")
    _check_parameters(submission, rows[0].schema)
    return _stored(execute, new_task(submission, rows[0], None, key), actor)


def parse_submission(document: Mapping[str, Any]) -> tuple[TaskSubmission, str | None]:
    """Return the task that `document` describes, and its idempotency key. Raise `InvalidTask`.

    The parameters are not checked, since their schema is in the database.
    """
    fields = dict(document)
    key = fields.pop("idempotency_key", None)
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isprintable()):
        raise InvalidTask(f"idempotency_key: is not text of 1 to {MAX_IDEMPOTENCY_KEY} characters")
    return _parse_fields(fields), key


def get_task(execute: ExecuteStatement, task_id: int) -> Mapping[str, Any] | None:
    """As `GET /tasks/{id}` has it, but for `available_actions` and `trace_url`. JSON values only."""
    rows = execute(queries.get_task(), {"task_id": task_id})
    if not rows:
        return None
    shown = {_NAMES.get(name, name): _plain(value) for name, value in rows[0]._asdict().items() if name not in _HIDDEN}
    shown["trace_id"] = trace_id_of(rows[0].trace_context)
    plain: Mapping[str, Any] = msgspec.to_builtins(shown)
    return plain


def _parse_fields(fields: dict[str, Any]) -> TaskSubmission:
    try:
        plain = msgspec.to_builtins(fields)
        size = len(msgspec.json.encode(plain))
        asked = msgspec.convert(plain, TaskSubmission)
    except (RecursionError, TypeError, ValueError, OverflowError) as exc:  # msgspec's ValidationError is among them
        raise InvalidTask(str(exc)) from exc
    if size > MAX_TASK_BYTES:
        raise InvalidTask(f"it has more than {MAX_TASK_BYTES} bytes of JSON")
    if asked.depends_on:
        raise InvalidTask("depends_on: cannot be given by a task; submit over the API")
    for path, why in storage_errors(asked):
        raise InvalidTask(f"{'.'.join(map(str, path))}: {why}")
    return asked


def _check_parameters(asked: TaskSubmission, schema: dict[str, Any]) -> None:
    try:
        validator = jsonschema_rs.Draft202012Validator(schema, offline=True, mask="the value")
    except (ValueError, jsonschema_rs.ReferencingError):  # a worker's mistake: whoever runs the task checks again
        return
    faults = [f"{'.'.join(map(str, ('parameters', *e.instance_path)))}: {e.message}" for e in _few(validator, asked)]
    if faults:
        raise InvalidTask("; ".join(faults))


def _few(validator: Any, asked: TaskSubmission) -> list[Any]:
    return [error for _, error in zip(range(MAX_ERRORS), validator.iter_errors(asked.parameters), strict=False)]


def _stored(run: ExecuteStatement, task: NewTask, by: str) -> int:
    statement, parameters = submit.submit([task], by, current_traceparent())
    if rows := run(statement, parameters):
        return int(rows[0].id)
    (other,) = run(submit.task_by_key(), {"its_key": task.idempotency_key})
    if other.fingerprint != task.fingerprint:
        raise InvalidTask(f"idempotency_key: {task.idempotency_key!r} came before, with another task")
    return int(other.id)


def _plain(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
