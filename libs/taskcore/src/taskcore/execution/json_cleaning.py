"""Python values as JSON text that PostgreSQL can store, cleaned and bounded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from taskcore.domain.attempt_reports import MAX_LINE_BYTES
from taskcore.domain.documents import clean_document, clean_text
from taskcore.errors import InvalidDocument
from taskcore.observability.exception_text import describe_object
from taskcore.observability.redaction import Redactor

MAX_NAME_CHARS = 255


def clean_json(value: Any, max_bytes: int, redactor: Redactor | None = None) -> str:
    """Return `value` as JSON text, without secrets if there is a `redactor`.

    Raises:
        InvalidDocument: when `value` is not JSON, or larger than `max_bytes`.
    """
    try:
        document = clean_document(msgspec.to_builtins(value))
        text = msgspec.json.encode(document)
    except (RecursionError, TypeError, ValueError, OverflowError) as exc:
        raise InvalidDocument((), f"is not JSON: {exc}") from exc
    if len(text) > max_bytes:
        raise InvalidDocument((), f"has more than {max_bytes} bytes of JSON")
    if redactor is not None:  # after the check of the size, which the plugin may have measured
        text = msgspec.json.encode(redactor.redact_document(document))
    return text.decode()


def clean_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a log line as JSON values. What is no JSON becomes its `repr`. Never raises."""
    return {_clean_message(name, MAX_NAME_CHARS): _clean_field(value) for name, value in fields.items()}


def clean_line(message: object, fields: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return a log line's message and its fields as JSON, together about `MAX_LINE_BYTES` at most. Never raises."""
    text = _clean_message(message, MAX_LINE_BYTES)
    if len(encoded := text.encode()) > MAX_LINE_BYTES:
        text = encoded[:MAX_LINE_BYTES].decode("utf-8", "ignore") + " …"
    if not fields:
        return text, None
    max_bytes = max(0, MAX_LINE_BYTES - len(text.encode()))
    try:
        return text, clean_json(clean_fields(fields), max_bytes)
    except InvalidDocument as exc:  # too large, or nested too deep as a whole; keep the message
        return text, clean_json({"left_out": clean_text(f"fields: {exc}", 256)}, MAX_LINE_BYTES)


def _clean_message(message: object, max_chars: int) -> str:
    return clean_text(message if isinstance(message, str) else describe_object(message), max_chars)


def _clean_field(value: Any) -> Any:
    try:
        document = clean_document(msgspec.to_builtins(value, enc_hook=describe_object, str_keys=True))
        msgspec.json.encode(document)
    except Exception:  # keys that are no text, or whatever an object raises
        return clean_text(describe_object(value), MAX_LINE_BYTES)
    return document
