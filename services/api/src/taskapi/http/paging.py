"""Which page of which tasks: the query of a list."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from taskapi.http.problems import invalid_field
from taskcore.domain.documents import MAX_INTEGER

_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]


def encode_cursor(last_id: int) -> str:
    """An opaque name for «behind this task»."""
    return base64.urlsafe_b64encode(str(last_id).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Raises `Refused` for anything but what `to_cursor` made."""
    try:
        last_id = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        last_id = 0
    if not 0 < last_id <= MAX_INTEGER or encode_cursor(last_id) != cursor:
        raise invalid_field("cursor", "is not a cursor of this API")
    return last_id


def parse_time(field: str, text: str | None) -> datetime | None:
    """A time with its zone. Raises `Refused`."""
    if text is None:
        return None
    try:
        return msgspec.convert(text, _AWARE).astimezone(UTC)  # PostgreSQL knows no zone beyond 15:59
    except (msgspec.ValidationError, OverflowError) as exc:
        raise invalid_field(field, "is not a time with a zone, such as 2026-01-31T12:00:00Z") from exc


def parse_labels(labels: Sequence[str]) -> list[tuple[str, str]]:
    """`["k=v"]` as pairs. Raises `Refused`."""
    pairs = [label.partition("=") for label in labels]
    if any(not key or not equals for key, equals, _ in pairs):
        raise invalid_field("label", "must be given as key=value")
    return [(key, value) for key, _, value in pairs]
