"""The JSON Schemas by which the parameters of tasks are checked before a task is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import structlog

#: Yields the errors that a schema finds in parameters.
FindErrors = Callable[[dict[str, Any]], Iterator[jsonschema_rs.ValidationError]]

log = structlog.stdlib.get_logger(__name__)


def compile_schema(schema: dict[str, Any], task_type: str) -> FindErrors:
    """Compile the schema of a task type. Messages do not quote values.

    An invalid schema is a mistake of the plugin's, not of the client's. It is logged and accepts everything, because
    the worker checks the parameters again.
    """
    try:
        return jsonschema_rs.Draft202012Validator(schema, offline=True, mask="the value").iter_errors
    except (ValueError, jsonschema_rs.ReferencingError) as exc:
        log.warning("task_type.invalid_schema", task_type=task_type, error=str(exc))
        return _no_errors


def _no_errors(_: dict[str, Any]) -> Iterator[jsonschema_rs.ValidationError]:
    return iter(())
