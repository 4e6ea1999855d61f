"""Read and decode the JSON body of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from litestar.exceptions import HTTPException
from litestar.status_codes import HTTP_415_UNSUPPORTED_MEDIA_TYPE

from taskapi.http.field_errors import Path, field_error, field_error_of
from taskapi.http.json_errors import json_error
from taskapi.http.json_values import has_more_values
from taskapi.http.off_loop import off_loop
from taskapi.http.parameters import HttpRequest
from taskapi.http.problems import ProblemError, invalid, invalid_field
from taskapi.schemas.tasks import ActionReason

MAX_BYTES = 64 * 1024
#: JSON values of one document, such as a task.
MAX_VALUES = 100_000
_REASON = msgspec.json.Decoder(ActionReason)
_OUT_OF_RANGE = ("Number out of range", "Integer value out of range")

T = TypeVar("T")


@dataclass(frozen=True)
class JsonBody(Generic[T]):
    """The body of a call: the handler decodes it, and the OpenAPI document describes it.

    Litestar does not decode bodies here, because its errors do not name the invalid field.
    """

    struct: type[T]
    example: Any
    max_bytes: int = MAX_BYTES
    is_required: bool = True

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of the handler: the limit, and the body itself in `opt`, where `taskapi.openapi` finds it."""
        return {"request_max_body_size": self.max_bytes, "opt": {"body": self}}

    async def read(self, request: HttpRequest) -> T:
        """Return the decoded body. Raise `ProblemError`, which names the invalid field."""
        body = await read_json_body(request)
        return await off_loop(len(body), decode, body, msgspec.json.Decoder(self.struct))


def reason_body(example: str) -> JsonBody[ActionReason]:
    """Return the optional body of an action, to be read by `read_reason`."""
    return JsonBody(ActionReason, {"reason": example}, is_required=False)


async def read_reason(request: HttpRequest) -> str | None:
    """Return the reason in the body, if there is one. Raise `ProblemError` when it is not valid."""
    body = await read_json_body(request)
    reason = (await off_loop(len(body), decode, body, _REASON)).reason if body else None
    if reason is not None and "\0" in reason:
        raise invalid_field("reason", "contains a NUL character")
    return reason


async def read_json_body(request: HttpRequest) -> bytes:
    """Return the body. Raise 415 when its Content-Type is neither JSON nor missing."""
    content_type, _ = request.content_type
    if content_type and content_type != "application/json" and not content_type.endswith("+json"):
        detail = f"The body is {content_type}, but application/json is expected."
        raise HTTPException(status_code=HTTP_415_UNSUPPORTED_MEDIA_TYPE, detail=detail)
    return await request.body()


def decode(
    body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[T], prefix: Path = (), max_values: int = MAX_VALUES
) -> T:
    """Return the decoded body. Raise `ProblemError`, which names the invalid field below `prefix`.

    This takes long for large bodies: see `off_loop`.
    """
    if has_more_values(body, max_values):
        raise ProblemError(invalid([field_error(prefix, f"has more than {max_values} JSON values")]))
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as exc:
        if str(exc).startswith(_OUT_OF_RANGE):  # an error without the path inside a free-form object
            raise json_error(bytes(body), exc, prefix) from exc
        raise ProblemError(invalid([field_error_of(exc, prefix)])) from exc
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise json_error(bytes(body), exc, prefix) from exc
