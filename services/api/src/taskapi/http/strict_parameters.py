"""Reject what would be taken for something else.

A misspelled filter must not return everything, and `/tasks/1_0` must not be the task 10.
"""

from __future__ import annotations

from functools import cache

from litestar.exceptions import NotFoundException
from litestar.handlers import BaseRouteHandler

from taskapi.http.parameters import PUBLIC_NAMES, HttpRequest
from taskapi.http.problems import raise_if_any
from taskapi.schemas.problems import FieldError

#: Parameters of handlers that are not in the query; those of the path are left out as well.
_NOT_IN_QUERY = frozenset({"request", "services", "idempotency_key", "user"})


def reject_ambiguous(request: HttpRequest) -> None:
    """Raise for ids that are not plain digits, and for query parameters that are unknown, repeated, or contain a NUL.

    Runs before handlers.
    """
    require_plain_ids(request)
    if not request.scope["query_string"]:
        return
    once, many = _known(request.route_handler, frozenset(request.path_params))
    given = request.query_params
    errors = [FieldError(name, "is not a parameter of this call") for name in given if name not in once | many]
    errors += [
        FieldError(name, "is given more than once") for name in given if name in once and len(given.getall(name)) > 1
    ]
    errors += [FieldError(name, "contains a NUL character") for name, value in given.multi_items() if "\0" in value]
    raise_if_any(errors)


def require_plain_ids(request: HttpRequest) -> None:
    """Litestar reads the ids of the path as Python does, with underscores, signs, spaces and digits of all scripts."""
    parts = request.scope["path"].split("/")
    if any(isinstance(value, int) and str(value) not in parts for value in request.path_params.values()):
        raise NotFoundException


@cache
def _known(handler: BaseRouteHandler, path_names: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the parameters that may be given once, and of those that may be repeated."""
    parameters = handler.parsed_fn_signature.parameters
    names = parameters.keys() - _NOT_IN_QUERY - path_names
    many = frozenset(name for name in names if parameters[name].is_non_string_sequence)
    return frozenset(PUBLIC_NAMES.get(name, name) for name in names - many), many
