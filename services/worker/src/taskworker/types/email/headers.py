"""Headers of a message as they are sent: folded, and encoded by RFC 2047 where they are not ASCII.

The `email` package folds headers itself when a message is sent. In Python 3.11 it then loses spaces, adds some, and
writes encoded words that are empty or too long. Headers that are folded already it takes as they are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.header import Header
from email.policy import Policy
from email.utils import formataddr, parseaddr

MAX_LINE = 78
MAX_ENCODED_LINE = 76
MAX_TEXT = 998
NEWLINE = "\r\n "
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")
WORDS = re.compile(r" *[^ ]+")
ENCODED_WORD = "=?"


class FoldedHeader(str):
    """The value of a header, which a reader of the message sees, and the form in which it is sent."""

    name: str
    sent: str

    def __new__(cls, name: str, value: str, sent: str) -> FoldedHeader:
        header = super().__new__(cls, value)
        header.name, header.sent = name, sent
        return header

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self.sent}{policy.linesep}"


def text_header(name: str, text: str) -> FoldedHeader:
    """Return a header with any text, which arrives as one line.

    Control characters and line ends become spaces, and what is longer than 998 characters is cut.
    """
    line = clean_line(text)
    return FoldedHeader(name, line, _fold(name, line))


def addresses_header(name: str, addresses: Sequence[str]) -> FoldedHeader:
    """Return a header with ASCII addresses."""
    return FoldedHeader(name, ", ".join(addresses), _fold_words(name, [f" {one}," for one in addresses]).rstrip(","))


def mailbox_header(name: str, mailbox: str) -> FoldedHeader:
    """Return a header with one address, which may have a display name in any script."""
    display_name, address = parseaddr(mailbox)
    quoted = formataddr((display_name, address)) if display_name.isascii() else mailbox
    if not display_name or not _has_to_be_encoded(name, quoted):
        return FoldedHeader(name, quoted, quoted)
    return FoldedHeader(name, mailbox, f"{_encode(name, clean_line(display_name))}{NEWLINE}<{address}>")


def clean_line(text: str) -> str:
    """Return `text` as one line of up to 998 characters."""
    line = UNPRINTABLE.sub(" ", text).strip()
    return line if len(line) <= MAX_TEXT else f"{line[: MAX_TEXT - 1]}…"


def _fold(name: str, line: str) -> str:
    words = WORDS.findall(line)
    if any(_has_to_be_encoded(name, word) for word in words):
        return _encode(name, line)
    return _fold_words(name, [f" {words[0]}", *words[1:]]) if words else ""


def _has_to_be_encoded(name: str, word: str) -> bool:
    """Return whether `word` is not ASCII, looks encoded already, or is too long for a line with the header's name."""
    return not word.isascii() or ENCODED_WORD in word or len(f"{name}: {word}") > MAX_LINE


def _fold_words(name: str, words: Sequence[str]) -> str:
    """Join words, which start with a space, and break lines before the space of a word that would be too long."""
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1] + word) > MAX_LINE and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += word
    return "\r\n".join(lines).removeprefix(f"{name}: ")


def _encode(name: str, text: str) -> str:
    return Header(text, "utf-8", maxlinelen=MAX_ENCODED_LINE, header_name=name).encode(linesep="\r\n")
