"""Reading a request's JSON body."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_415_UNSUPPORTED_MEDIA_TYPE

from taskapi.http.field_errors import Path, field_error_of
from taskapi.http.json_errors import json_error
from taskapi.http.problems import ProblemError, invalid

_OUT_OF_RANGE = ("Number out of range", "Integer value out of range")

T = TypeVar("T")


async def read_json_body(request: Request[Any, Any, Any]) -> bytes:
    """The body, if it says that it is JSON, or says nothing."""
    content_type, _ = request.content_type
    if content_type and content_type != "application/json" and not content_type.endswith("+json"):
        detail = f"The body is {content_type}; application/json is what is understood here."
        raise HTTPException(status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE, detail=detail)
    return await request.body()


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], prefix: Path = ()) -> T:
    """The body as what `decoder` decodes to. Raises `Refused`, naming the field below `prefix`."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        if str(exc).startswith(_OUT_OF_RANGE):  # which names no member of a free-form object
            raise json_error(bytes(body), exc, prefix) from exc
        raise ProblemError(invalid([field_error_of(exc, prefix)])) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise json_error(bytes(body), exc, prefix) from exc
