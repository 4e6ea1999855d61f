"""Find out why, and where, a JSON body cannot be decoded.

Used only after decoding has failed. The scan visits the tokens without recursion and keeps the current path, so it is
safe for deeply nested bodies. Its time is bounded, and linear in the size of the body.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field

from taskapi.http.field_errors import Path, as_field
from taskapi.http.problems import ProblemError, invalid, malformed
from taskapi.schemas.problems import FieldError
from taskcore.domain.documents import MAX_DEPTH

#: A fault beyond this many tokens is reported without its path.
MAX_TOKENS = 200_000

_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_NOT_NUMBERS = frozenset({b"NaN", b"Infinity", b"-Infinity"})
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BYTE = re.compile(r" \(byte (\d+)\)")


def json_error(body: bytes, error: Exception, prefix: Path = ()) -> ProblemError:
    """Return the problem of a `body` that msgspec could not decode. `prefix` is the path of `body` in the request."""
    position = _BYTE.search(str(error))
    finding = _find(body, int(position[1]) if position else len(body))
    message = finding.message or _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ")
    fault = FieldError(as_field((*prefix, *finding.path)) or "body", message)
    return ProblemError(malformed(fault) if finding.is_malformed else invalid([fault]))


@dataclass(frozen=True, slots=True)
class _Fault:
    """The path of a fault. Without a `message`, the decoder's own message is the best there is."""

    path: Path
    message: str | None = None
    is_malformed: bool = True


@dataclass(slots=True)
class _Walk:
    """The containers around the current token: for each, the name or the index of its current member."""

    members: list[str | int | None] = field(default_factory=list)
    expects_key: bool = False

    def path(self) -> Path:
        return tuple(member for member in self.members if member is not None)

    def step(self, token: bytes, text: str | None) -> None:
        match token:
            case b"{":
                self.members.append(None)
                self.expects_key = True
            case b"[":
                self.members.append(0)
                self.expects_key = False
            case b"}" | b"]":
                del self.members[-1:]
                self.expects_key = False
            case b":":
                self.expects_key = False
            case b",":
                self._next_member()
            case _ if self.expects_key and self.members:
                self.members[-1] = text

    def _next_member(self) -> None:
        if self.members and isinstance(self.members[-1], int):
            self.members[-1] += 1
        elif self.members:
            self.members[-1] = None
            self.expects_key = True


def _find(body: bytes, end: int) -> _Fault:
    walk = _Walk()
    for number, match in enumerate(_TOKEN.finditer(body)):
        if match.start() > end:
            break
        if number >= MAX_TOKENS:
            return _Fault((), f"is not valid at byte {end}")
        token = match[0]
        text = _text(token) if token.startswith(b'"') else None
        if (fault := _fault(token, text)) is not None:
            return _Fault(walk.path(), fault[0], is_malformed=fault[1])
        walk.step(token, text)
        if len(walk.members) > MAX_DEPTH:
            return _Fault(walk.path()[:3], f"is nested more than {MAX_DEPTH} levels deep", is_malformed=False)
    return _Fault(walk.path())


def _fault(token: bytes, text: str | None) -> tuple[str, bool] | None:
    """Return what is wrong with this token by itself, and whether the body is therefore not JSON."""
    if token in _NOT_NUMBERS:
        return "is not a finite number", True
    if _NUMBER.fullmatch(token) and math.isinf(float(token)):
        return "is a number out of range", False
    if token.startswith(b'"') and not _is_utf8(token):
        return "is not UTF-8", True
    if text is not None and _SURROGATE.search(text):
        return "contains a lone surrogate", False
    return None


def _text(token: bytes) -> str | None:
    """Return the string of a JSON token, lone surrogates included, or None when it cannot be parsed."""
    try:
        return str(json.loads(token))
    except ValueError:
        return None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
