"""Count the values of a JSON text before they become objects, which take many times the memory of the text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

#: Possessive, since a repetition that could go back takes memory for each of millions of escapes.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_STRINGS = re.compile(_STRING, re.DOTALL)
#: Text with up to a thousand strings: nothing else runs in this process while a regular expression is matched.
_PIECE = re.compile(rb'(?:[^"]*' + _STRING + rb"){1,1000}", re.DOTALL)


def has_more_values(text: bytes | msgspec.Raw, limit: int) -> bool:
    """Whether `text` has more than `limit` values.

    They are counted by the signs that begin or separate them outside of strings, which counts an empty list twice.
    """
    if memoryview(text).nbytes <= limit:  # each value has a character
        return False
    data = bytes(text)
    if _separators(data) < limit:
        return False
    count = 0
    for piece in _pieces(data):
        count += _separators(_STRINGS.sub(b"", piece))
        if count >= limit:
            return True
    return False


def _separators(text: bytes) -> int:
    return sum(text.count(sign) for sign in (b",", b"[", b"{"))


def _pieces(text: bytes) -> Iterator[bytes]:
    position = 0
    while (match := _PIECE.match(text, position)) is not None:
        yield match[0]
        position = match.end()
    yield text[position:]
