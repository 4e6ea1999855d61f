"""Parameters of calls about events and alerts, and the positions that their pages continue from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

from litestar.params import QueryParameter

from taskapi.http.paging import decode_pair
from taskapi.http.parameters import id_in_path
from taskapi.http.problems import invalid_field

EventId = Annotated[int, id_in_path("An event's id.")]
AlertId = Annotated[int, id_in_path("An alert's id.")]
AnyOf = Annotated[list[str] | None, QueryParameter(description="May be repeated to match any of the values.")]
Time = Annotated[
    str | None, QueryParameter(schema_extra={"format": "date-time"}, description="Only events from this time on.")
]
Search = Annotated[str | None, QueryParameter(max_length=255, description="Part of the message, case-insensitive.")]
Before = Annotated[
    str | None,
    QueryParameter(max_length=40, pattern=r"^-?[0-9]{1,18}\.[0-9]{1,19}$", description="`next_before` of a page."),
]
After = Annotated[
    str | None,
    QueryParameter(
        max_length=39,
        pattern=r"^[0-9]{1,19}\.[0-9]{1,19}$",
        description="`next_after` of a page. Not together with `before`.",
    ),
]
BeforeAlert = Annotated[
    str | None, QueryParameter(max_length=19, pattern=r"^[0-9]{1,19}$", description="`next_before` of a page.")
]
AfterAlert = Annotated[
    str | None,
    QueryParameter(
        max_length=19, pattern=r"^[0-9]{1,19}$", description="`next_after` of a page. Not together with `before`."
    ),
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def reject_both(before: object, after: object) -> None:
    """Raise `ProblemError` when both are given."""
    if before is not None and after is not None:
        raise invalid_field("after", "cannot be given together with before")


def encode_before(at: datetime, event_id: int) -> str:
    return f"{(at - _EPOCH) // _MICROSECOND}.{event_id}"


def decode_before(text: str) -> tuple[datetime, int]:
    """Return time and id. Raise `ProblemError` for anything that `encode_before` did not make."""
    microseconds, event_id = decode_pair("before", text)
    try:
        return _EPOCH + microseconds * _MICROSECOND, event_id
    except OverflowError as exc:
        raise invalid_field("before", "is not `next_before` of a page") from exc


def decode_id(field: str, text: str) -> int:
    """Return the id of an alert. Raise `ProblemError` when `text` is no id."""
    return decode_pair(field, f"0.{text}")[1]
