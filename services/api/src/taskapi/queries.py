"""Refusing query parameters that no call knows: a typo in a filter must not mean «all»."""

from __future__ import annotations

from functools import cache
from typing import Any

from litestar import Request
from litestar.handlers import BaseRouteHandler

from taskapi.contract import PUBLIC_NAMES
from taskapi.problems import Refused, invalid
from taskapi.schemas import FieldError

_NOT_OF_THE_QUERY = frozenset({"request", "services", "task_id", "idempotency_key"})


def refuse_unknown_parameters(request: Request[Any, Any, Any]) -> None:
    """Runs before each handler. Raises `Refused`."""
    if not request.scope["query_string"]:
        return
    known = _known(request.route_handler)
    given = request.query_params
    errors = [FieldError(name, "is not a parameter of this call") for name in given if name not in known]
    errors += [FieldError(name, "contains a NUL character") for name, value in given.multi_items() if "\0" in value]
    if errors:
        raise Refused(invalid(errors))


@cache
def _known(handler: BaseRouteHandler) -> frozenset[str]:
    names = handler.parsed_fn_signature.parameters.keys() - _NOT_OF_THE_QUERY
    return frozenset(PUBLIC_NAMES.get(name, name) for name in names)
