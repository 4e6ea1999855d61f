"""JSON values as PostgreSQL can keep them: what a client sends is checked, what a plugin returns is cleaned."""

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
    """Refuse what PostgreSQL's jsonb cannot keep or a JSON reader may misread.

    Raises:
        InvalidDocument: with the path of the first value at fault.
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
    """Refuse text with NUL characters or lone surrogates, or of more than `max_bytes` as UTF-8.

    Raises:
        InvalidDocument: naming `path`.
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
    """`text` as PostgreSQL can keep it: NUL and lone surrogates replaced, the middle of what is too long cut out."""
    if len(text) > max_chars:
        half = max_chars // 2
        text = f"{text[:half]}\n… {len(text) - max_chars} characters left out …\n{text[-half:]}"
    return text.replace("\0", REPLACEMENT).encode("utf-8", "replace").decode()


def clean_document(value: Any, depth: int = 0) -> Any:
    """`value` as jsonb can keep it: text cleaned, NaN and infinities as null.

    Raises:
        InvalidDocument: when it is nested deeper than `MAX_DEPTH`.
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
