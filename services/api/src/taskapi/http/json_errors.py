"""Where in a body the fault lies that keeps it from being decoded at all.

Only asked when decoding has failed. It walks over the tokens without recursion and keeps the path, so that neither
nesting nor size can hurt it: the time is linear in the body.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field

from taskapi.http.field_errors import Path, as_field
from taskapi.http.problems import ProblemError, invalid, malformed
from taskapi.schemas import FieldError
from taskcore.domain.documents import MAX_DEPTH

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?|[{}\[\]:,]|[^\s"{}\[\]:,]+', re.DOTALL)
_NOT_NUMBERS = frozenset({b"NaN", b"Infinity", b"-Infinity"})
_NUMBER = re.compile(rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_BYTE = re.compile(r" \(byte (\d+)\)")


def json_error(body: bytes, error: Exception, prefix: Path = ()) -> ProblemError:
    """The refusal of a `body` that msgspec could not decode because of `error`. `prefix`: where the body stands."""
    position = _BYTE.search(str(error))
    finding = _find(body, int(position[1]) if position else len(body))
    message = finding.message or _BYTE.sub("", str(error)).removeprefix("JSON is malformed: ")
    fault = FieldError(as_field((*prefix, *finding.path)) or "body", message)
    return ProblemError(malformed(fault) if finding.is_malformed else invalid([fault]))


@dataclass(frozen=True, slots=True)
class _Fault:
    """Where the fault lies. No `message`: it is nothing that we know better than the decoder."""

    path: Path
    message: str | None = None
    is_malformed: bool = True


@dataclass(slots=True)
class _Walk:
    """The containers around the present token: for each the name or the index of the member it is in."""

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
    for match in _TOKEN.finditer(body):
        if match.start() > end:
            break
        token = match[0]
        text = _text(token) if token.startswith(b'"') else None
        if (fault := _fault(token, text)) is not None:
            return _Fault(walk.path(), fault[0], is_malformed=fault[1])
        walk.step(token, text)
        if len(walk.members) > MAX_DEPTH:
            return _Fault(walk.path()[:3], f"is nested more than {MAX_DEPTH} deep", is_malformed=False)
    return _Fault(walk.path())


def _fault(token: bytes, text: str | None) -> tuple[str, bool] | None:
    """What is wrong with this token alone, and whether that makes the body no JSON."""
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
    """The string of a JSON token, lone surrogates and all; None when it cannot be read."""
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
