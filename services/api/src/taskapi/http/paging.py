"""Cursors, and the query parameters that list calls share."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from taskapi.http.problems import invalid_field
from taskcore.domain.documents import MAX_INTEGER

_PAIR = re.compile(r"(-?[0-9]{1,19})\.([0-9]{1,19})")
_AWARE = Annotated[datetime, msgspec.Meta(tz=True)]


def encode_cursor(last_id: int) -> str:
    """Return an opaque cursor for the tasks that come after `last_id`."""
    return base64.urlsafe_b64encode(str(last_id).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Return the id in `cursor`. Raise `ProblemError` for anything that `encode_cursor` did not make."""
    try:
        last_id = int(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        last_id = 0
    if not 0 < last_id <= MAX_INTEGER or encode_cursor(last_id) != cursor:
        raise invalid_field("cursor", "is not a cursor of this API")
    return last_id


def decode_pair(field: str, text: str) -> tuple[int, int]:
    """Return the two numbers of a position such as `17.4`. Raise `ProblemError` for anything else."""
    match = _PAIR.fullmatch(text)
    if match is None or int(match[2]) > MAX_INTEGER or abs(int(match[1])) > MAX_INTEGER:
        raise invalid_field(field, f"is not `next_{field}` of a page")
    return int(match[1]), int(match[2])


def parse_time(field: str, text: str | None) -> datetime | None:
    """Return the time in UTC. Raise `ProblemError` when `text` is not a time with a time zone."""
    if text is None:
        return None
    try:
        return msgspec.convert(text, _AWARE).astimezone(UTC)  # PostgreSQL accepts offsets up to 15:59
    except (msgspec.ValidationError, OverflowError) as exc:
        raise invalid_field(field, "is not a time with a time zone, such as 2026-01-31T12:00:00Z") from exc


def parse_labels(labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return `["k=v"]` as pairs. Raise `ProblemError` when one is not `key=value`."""
    pairs = [label.partition("=") for label in labels]
    if any(not key or not equals for key, equals, _ in pairs):
        raise invalid_field("label", "must be given as key=value")
    return [(key, value) for key, _, value in pairs]
