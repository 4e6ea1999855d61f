"""Python values as JSON text that PostgreSQL can store, cleaned and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from taskcore.domain.attempt_reports import MAX_LINE_BYTES
from taskcore.domain.documents import clean_document, clean_text
from taskcore.errors import InvalidDocument


def clean_json(value: Any, max_bytes: int) -> str:
    """Return `value` as JSON text.

    Raises:
        InvalidDocument: when `value` is not JSON, or larger than `max_bytes`.
    """
    try:
        text = msgspec.json.encode(clean_document(msgspec.to_builtins(value)))
    except (RecursionError, TypeError, ValueError, OverflowError) as exc:
        raise InvalidDocument((), f"is not JSON: {exc}") from exc
    if len(text) > max_bytes:
        raise InvalidDocument((), f"has more than {max_bytes} bytes of JSON")
    return text.decode()


def clean_line(message: str, fields: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a log line's message and its fields as JSON, together about `MAX_LINE_BYTES` at most. Never raises."""
    text = clean_text(message, MAX_LINE_BYTES)
    if len(encoded := text.encode()) > MAX_LINE_BYTES:
        text = encoded[:MAX_LINE_BYTES].decode("utf-8", "ignore") + " …"
    if not fields:
        return text, None
    max_bytes = max(0, MAX_LINE_BYTES - len(text.encode()))
    try:
        return text, clean_json(msgspec.to_builtins(fields, enc_hook=repr, str_keys=True), max_bytes)
    except Exception as exc:  # a field may be any object, whose repr may raise anything; keep the message
        return text, clean_json({"left_out": clean_text(f"fields: {exc}", 256)}, MAX_LINE_BYTES)
