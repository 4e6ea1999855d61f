"""What a plugin may do with other tasks: submit one, and look one up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Executable

from taskcore.db.queues import lifecycle
from taskcore.db.tasks import queries, submit
from taskcore.db.workers import workers
from taskcore.domain.tasks import MAX_TASK_BYTES, NewTask
from taskcore.errors import InvalidTask
from taskcore.observability.tracing.propagation import current_traceparent, trace_id_of
from taskcore.submission.schemas import compile_schema
from taskcore.submission.spec import TaskSubmission, new_task, storage_errors

MAX_ERRORS = 5
MAX_IDEMPOTENCY_KEY = 255

#: The columns that a plugin sees. Two have another name outside of the database.
_COLUMNS = (
    *("id", "name", "type", "queue", "status", "priority", "parameters", "labels", "description", "run_at"),
    *("max_attempts", "attempt", "failures", "crashes", "worker_losses", "pause_requested"),
    *("pause_reason", "paused_by", "progress", "result"),
    *("error", "reason", "worker_id", "request_id", "idempotency_key", "created_at", "started_at", "finished_at"),
)
_RENAMED_COLUMNS = {"timeout": "timeout_s", "delete_after": "delete_after_s"}

#: Executes a statement with these parameters and returns its rows.
ExecuteStatement = Callable[[Executable, Mapping[str, Any]], list[Any]]


def submit_task(execute: ExecuteStatement, document: Mapping[str, Any], actor: str, max_queues: int) -> int:
    """Store a task that is described as for `POST /tasks`, with its `idempotency_key` as a member. Return its id.

    `max_queues` holds unless the live setting `queues.max` overrides it.

    Raises:
        InvalidTask: when the API would refuse the task, or when it has `depends_on`, which only the API can check.
    """
    submission, key = parse_submission(document)
    rows = execute(workers.get_type(), {"type_name": submission.type})
    if not rows:
        raise InvalidTask(f"type: unknown task type {submission.type!r}: no worker has registered it")
    known = workers.RegisteredType.from_row(rows[0])
    _check_parameters(submission, known.schema)
    if submission.queue is not None and submission.queue != known.queue:
        _check_queue(execute, submission.queue, max_queues)
    return _store(execute, new_task(submission, known, None, key), actor)


def parse_submission(document: Mapping[str, Any]) -> tuple[TaskSubmission, str | None]:
    """Return the task that `document` describes, and its idempotency key. Raises `InvalidTask`.

    The parameters are not checked, since their schema is in the database.
    """
    fields = dict(document)
    key = fields.pop("idempotency_key", None)
    if key is not None and not (isinstance(key, str) and 0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isprintable()):
        raise InvalidTask(f"idempotency_key: is not text of 1 to {MAX_IDEMPOTENCY_KEY} characters")
    return _parse_fields(fields), key


def get_task(execute: ExecuteStatement, task_id: int) -> Mapping[str, Any] | None:
    """Return a task as in `GET /tasks/{id}`, without `available_actions` and `trace_url`, or `None` if there is none.

    All values are JSON.
    """
    rows = execute(queries.get_task(), {"task_id": task_id})
    if not rows:
        return None
    row = rows[0]._asdict()
    shown = {name: _in_utc(row[name]) for name in _COLUMNS}
    shown |= {name: row[column] for name, column in _RENAMED_COLUMNS.items()}
    shown["trace_id"] = trace_id_of(row["trace_context"])
    plain: Mapping[str, Any] = msgspec.to_builtins(shown)
    return plain


def _parse_fields(fields: dict[str, Any]) -> TaskSubmission:
    try:
        plain = msgspec.to_builtins(fields)
        size = len(msgspec.json.encode(plain))
        submission = msgspec.convert(plain, TaskSubmission)
    except (RecursionError, TypeError, ValueError, OverflowError) as exc:  # includes msgspec's ValidationError
        raise InvalidTask(str(exc)) from exc
    if size > MAX_TASK_BYTES:
        raise InvalidTask(f"it has more than {MAX_TASK_BYTES} bytes of JSON")
    if submission.depends_on:
        raise InvalidTask("depends_on: a plugin cannot submit dependencies; use the API")
    for path, message in storage_errors(submission):
        raise InvalidTask(f"{'.'.join(map(str, path))}: {message}")
    return submission


def _check_parameters(submission: TaskSubmission, schema: dict[str, Any]) -> None:
    errors = islice(compile_schema(schema, submission.type)(submission.parameters), MAX_ERRORS)
    if messages := [f"{'.'.join(map(str, ('parameters', *e.instance_path)))}: {e.message}" for e in errors]:
        raise InvalidTask("; ".join(messages))


def _check_queue(execute: ExecuteStatement, queue: str, max_queues: int) -> None:
    ((is_taken, count, override),) = execute(lifecycle.queue_room(), {"of": queue})
    limit = max_queues if override is None else override
    if not is_taken and count >= limit:
        raise InvalidTask(f"queue: {queue!r} would be a new queue, and there are {limit} already (queues.max)")


def _store(execute: ExecuteStatement, task: NewTask, actor: str) -> int:
    statement, parameters = submit.submit([task], actor, current_traceparent())
    if rows := execute(statement, parameters):
        return int(rows[0].id)
    (stored,) = execute(submit.task_by_key(), {"its_key": task.idempotency_key})
    if stored.fingerprint != task.fingerprint:
        raise InvalidTask(f"idempotency_key: {task.idempotency_key!r} was used for a different task")
    return int(stored.id)


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value
