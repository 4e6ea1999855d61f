"""JSON values that PostgreSQL can store: input from clients is checked, output of plugins is cleaned."""

from __future__ import annotations

import math
from typing import Any

from taskcore.errors import InvalidDocument

MAX_DEPTH = 64
MAX_STRING_BYTES = 64 * 1024
MIN_INTEGER, MAX_INTEGER = -(2**63), 2**63 - 1
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

Path = tuple[str | int, ...]


def check_document(value: Any, path: Path = ()) -> None:
    """Check that PostgreSQL's jsonb can store `value` and that JSON readers agree on it.

    Raises:
        InvalidDocument: with the path of the first invalid value.
    """
    if len(path) > MAX_DEPTH:
        raise InvalidDocument(path[:3], f"is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        check_text(value, path)
    elif isinstance(value, dict):
        for key, item in value.items():
            check_text(key, path)
            check_document(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_document(item, (*path, index))
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise InvalidDocument(path, "is an integer beyond 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidDocument(path, "is not a finite number")


def check_text(text: str, path: Path, max_bytes: int = MAX_STRING_BYTES) -> None:
    """Check that `text` has no NUL characters or lone surrogates, and at most `max_bytes` as UTF-8.

    Raises:
        InvalidDocument: with `path`.
    """
    if "\0" in text:
        raise InvalidDocument(path, "contains a NUL character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise InvalidDocument(path, "contains a lone surrogate") from exc
    if size > max_bytes:
        raise InvalidDocument(path, f"is a string of more than {max_bytes} bytes")


def clean_text(text: str, max_chars: int = 16_384) -> str:
    """Return `text` with NUL characters and lone surrogates replaced, and the middle cut out if it is too long.

    The answer is an exact `str`, also for a subclass, whose methods may do anything.
    """
    text = "".join(("", text))
    if len(text) > max_chars:
        half = max_chars // 2
        text = f"{text[:half]}\n… {len(text) - max_chars} characters omitted …\n{text[-half:]}"
    return text.replace("\0", REPLACEMENT).encode("utf-8", "replace").decode()


def clean_document(value: Any, depth: int = 0) -> Any:
    """Return `value` as jsonb can store it: text cleaned, NaN and infinities replaced by null.

    Raises:
        InvalidDocument: if it is nested deeper than `MAX_DEPTH`.
    """
    if depth > MAX_DEPTH:
        raise InvalidDocument((), f"is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        return value.replace("\0", REPLACEMENT).encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {clean_document(k, depth + 1): clean_document(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean_document(item, depth + 1) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
