"""Removes secrets from logs, errors and results: values of fields with certain names, and passwords in URLs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from typing import Any

from taskcore.domain import documents

REDACTED = "***"
#: In place of a value that raises when it is read: it may be a secret.
UNREADABLE = "<unreadable>"
#: Deeper values are replaced as a whole, since a structure may contain itself.
MAX_DEPTH = 20
MAX_CACHED_KEYS = 2_000

# The quantifiers are bounded so that no text takes long to search.
_PASSWORD_IN_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30}://[^\s:/@\"']{0,255}:)[^\s/\"']+@")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")


class Redactor:
    """Redacts the fields whose keys contain one of `names` as whole words.

    The name `api_key` matches the keys `api_key`, `X-Api-Key` and `myApiKey`, but not `api_keys_left`. Booleans and
    null are kept, whatever their key: `password_changed` is no secret.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(f" {_words(name)} " for name in names)
        self._is_secret = lru_cache(MAX_CACHED_KEYS)(self._has_secret_name)

    def redact_fields(self, fields: Mapping[Any, Any]) -> dict[Any, Any]:
        """Return a copy of `fields` without secrets, at any depth of mappings and lists. Never raises."""
        return {name: self._field(name, value, 0) for name, value in fields.items()}

    def redact_document(self, document: Any) -> Any:
        """Return a copy of a clean JSON document, which has a limited depth, without secrets."""
        return self._value(document, MAX_DEPTH - documents.MAX_DEPTH - 1)

    def redact_text(self, text: str) -> str:
        """Return `text` without the passwords in its URLs."""
        if "://" not in text or "@" not in text:
            return text
        return _PASSWORD_IN_URL.sub(rf"\1{REDACTED}@", text)

    def _has_secret_name(self, key: str) -> bool:
        words = f" {_words(key)} "
        return any(name in words for name in self._names)

    def _field(self, name: Any, value: Any, depth: int) -> Any:
        try:
            is_secret = isinstance(name, str) and not isinstance(value, bool | None) and self._is_secret(name)
            return REDACTED if is_secret else self._value(value, depth)
        except Exception:  # a mapping of a plugin's own may raise anything
            return UNREADABLE

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self.redact_text(value)
        if not isinstance(value, Mapping | list | tuple | set | frozenset):
            return value
        if depth == MAX_DEPTH:
            return REDACTED
        if isinstance(value, Mapping):
            return {name: self._field(name, one, depth + 1) for name, one in value.items()}
        return [self._value(one, depth + 1) for one in value]


@cache
def redactor_of(names: tuple[str, ...]) -> Redactor:
    """Return a redactor, the same one for the same names: attempts need it often."""
    return Redactor(names)


def _words(name: str) -> str:
    return " ".join(_WORD.findall(name)).lower()
