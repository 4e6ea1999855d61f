"""Map exceptions to problem responses; no other module does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
import structlog
from litestar import Response
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

from taskapi.http.parameters import PROBLEM_MEDIA_TYPE, PUBLIC_NAMES, HttpRequest
from taskapi.http.problems import ProblemError, concurrent_update, invalid, too_large
from taskapi.middleware.request import request_id_of
from taskapi.schemas.problems import FieldError, Problem, ProblemCode
from taskcore.db.engine import is_database_unavailable
from taskcore.observability.outages import DATABASE

RETRY_AFTER = {"Retry-After": "2"}

#: The database has no schema yet, or an older one: to a client it is unavailable until it has been upgraded.
_NOT_UPGRADED = (UndefinedTable, UndefinedColumn)
_MISSING = re.compile(r"Missing required \w+ parameter '([^']*)'")

log = structlog.stdlib.get_logger(__name__)


def handle_exception(request: HttpRequest, exc: Exception) -> Response[Problem]:
    """Return the problem for `exc`. An unexpected exception is logged, and the client gets no details of it."""
    problem, headers = _problem(request, exc)
    problem = msgspec.structs.replace(problem, request_id=request_id_of(request.scope))
    return Response(problem, status_code=problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def _problem(request: HttpRequest, exc: Exception) -> tuple[Problem, dict[str, str]]:
    match exc:
        case ProblemError():
            return exc.problem, exc.headers
        case RequestEntityTooLarge():
            return too_large("body", request.route_handler.resolve_request_max_body_size() or 0), {}
        case ValidationException():
            return invalid(list(_parameter_errors(exc))), {}
        case NotFoundException():
            detail = f"There is nothing at {request.scope['path']}."
            return Problem("Not found", 404, ProblemCode.NOT_FOUND, detail=detail), {}
        case MethodNotAllowedException():
            return Problem("Method not allowed", 405, ProblemCode.METHOD_NOT_ALLOWED), exc.headers or {}
        case InternalServerException() if "disconnected" in exc.detail:  # while the body was read
            return Problem("The client disconnected", 400, ProblemCode.CLIENT_DISCONNECTED), {}
        case HTTPException() if exc.status_code == 415:
            return Problem("Unsupported media type", 415, ProblemCode.UNSUPPORTED_MEDIA_TYPE, detail=exc.detail), {}
        case HTTPException() if exc.status_code < 500:
            problem = Problem("Bad request", exc.status_code, ProblemCode.BAD_REQUEST, detail=exc.detail)
            return problem, exc.headers or {}
    return _server_problem(exc)


def _server_problem(exc: Exception) -> tuple[Problem, dict[str, str]]:
    cause = exc.orig if isinstance(exc, DBAPIError) else None
    if isinstance(cause, DeadlockDetected):
        error = concurrent_update()
        return error.problem, error.headers
    if is_database_unavailable(exc) or isinstance(cause, _NOT_UPGRADED):
        DATABASE.failed(exc)
        return Problem("The database is unavailable", 503, ProblemCode.DATABASE_UNAVAILABLE), RETRY_AFTER
    log.error("request.failed", exc_info=exc)
    return Problem("Internal server error", 500, ProblemCode.INTERNAL_ERROR), {}


def _parameter_errors(exc: ValidationException) -> Iterator[FieldError]:
    if (missing := _MISSING.match(exc.detail)) is not None:
        yield FieldError(missing[1], "is missing")
    errors: list[Any] = exc.extra if isinstance(exc.extra, list) else []
    for error in errors:
        key = str(error.get("key", "query"))
        yield FieldError(PUBLIC_NAMES.get(key, key), str(error["message"]))
