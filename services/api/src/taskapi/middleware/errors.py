"""From exceptions to answers: the one place that knows which is which."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from psycopg.errors import DeadlockDetected, UndefinedColumn, UndefinedTable
from sqlalchemy.exc import DBAPIError

from taskapi.http.parameters import PROBLEM_MEDIA_TYPE, PUBLIC_NAMES
from taskapi.http.problems import ProblemError, concurrent_update, invalid, too_large
from taskapi.middleware.request import request_id_of
from taskapi.schemas import FieldError, Problem
from taskcore.db.engine import is_database_unavailable
from taskcore.errors import first_line

RETRY_AFTER = {"Retry-After": "2"}

#: The server answers, and yet nothing can be stored: a standby, or a schema that is not there yet.
_NOT_READY = (UndefinedTable, UndefinedColumn)
_MISSING = re.compile(r"Missing required \w+ parameter '([^']*)'")

log = structlog.stdlib.get_logger(__name__)


def handle_exception(request: Request[Any, Any, Any], exc: Exception) -> Response[Problem]:
    """The problem that `exc` means to the client. Those that nobody foresaw are logged, and told without details."""
    problem, headers = _problem(request, exc)
    problem = msgspec.structs.replace(problem, request_id=request_id_of(request.scope))
    return Response(problem, status_code=problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def _problem(request: Request[Any, Any, Any], exc: Exception) -> tuple[Problem, dict[str, str]]:
    match exc:
        case ProblemError():
            return exc.problem, exc.headers
        case RequestEntityTooLarge():
            return too_large("body", request.route_handler.resolve_request_max_body_size() or 0), {}
        case ValidationException():
            return invalid(list(_parameter_errors(exc))), {}
        case NotFoundException():
            return Problem("Not found", 404, "not_found", detail=f"Nothing is at {request.scope['path']}."), {}
        case MethodNotAllowedException():
            return Problem("Method not allowed", 405, "method_not_allowed"), exc.headers or {}
        case InternalServerException() if "disconnected" in exc.detail:  # in the middle of its body
            return Problem("The client went away", 400, "client_disconnected"), {}
        case HTTPException() if exc.status_code == 415:
            return Problem("Unsupported media type", 415, "unsupported_media_type", detail=exc.detail), {}
        case HTTPException() if exc.status_code < 500:
            return Problem("Bad request", exc.status_code, "bad_request", detail=exc.detail), exc.headers or {}
    if isinstance(exc, DBAPIError) and isinstance(exc.orig, DeadlockDetected):
        return concurrent_update().problem, concurrent_update().headers
    if _is_database_away(exc):
        log.warning("database.unavailable", error=first_line(exc))
        return Problem("The database is away", 503, "database_unavailable"), RETRY_AFTER
    log.error("request.failed", exc_info=exc)
    return Problem("Something went wrong here", 500, "internal_error"), {}


def _is_database_away(exc: Exception) -> bool:
    return is_database_unavailable(exc) or (isinstance(exc, DBAPIError) and isinstance(exc.orig, _NOT_READY))


def _parameter_errors(exc: ValidationException) -> Iterator[FieldError]:
    if (missing := _MISSING.match(exc.detail)) is not None:
        yield FieldError(missing[1], "is missing")
    errors: list[Any] = exc.extra if isinstance(exc.extra, list) else []
    for error in errors:
        key = str(error.get("key", "query"))
        yield FieldError(PUBLIC_NAMES.get(key, key), str(error["message"]))
