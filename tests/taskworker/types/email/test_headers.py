"""Headers as they are sent: every text arrives, in lines and encoded words of the lengths that RFC 2047 allows."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskworker.types.email.headers import (
    MAX_TEXT,
    FoldedHeader,
    addresses_header,
    clean_line,
    mailbox_header,
    text_header,
)
from taskworker.types.email.message import build_message
from taskworker.types.email.parameters import SendEmailParameters

ENCODED_WORD = re.compile(r"=\?utf-8\?[qb]\?[^? ]+\?=")
SPECIAL = [
    "=?utf-8?q?=0d=0aBcc:_eve@example.org?=",
    "=?",
    "?=",
    "\r\nBcc: eve@example.org",
    "\x85",
    "\u2028",
    "\0",
    "\x1b",
]
WORDS = st.sampled_from(
    ["a", "Re:", "word", "x" * 80, "ü", "übrig", "日本語", "😀", "e\u0301", '"', "<", ",", "_", "\\"]
)
TEXTS = st.lists(st.one_of(WORDS, st.sampled_from(["", " ", "  "]), st.sampled_from(SPECIAL), st.text())).map(" ".join)

NAMES = st.lists(st.one_of(WORDS, st.text("abc äöü日.,;:()<>@[]"))).map(lambda words: " ".join(" ".join(words).split()))


def sent(header: FoldedHeader) -> tuple[str, Any]:
    """Return the header as it is sent, without its name, and what a reader of the message sees."""
    message = EmailMessage(policy=SMTP)
    message[header.name] = header
    message.set_content("text")
    raw = message.as_bytes()
    head = raw.decode().partition("\r\nContent-Type:")[0]
    assert head.startswith(f"{header.name}: ")
    return head.removeprefix(f"{header.name}: "), message_from_bytes(raw, policy=default)[header.name]


def assert_lengths(name: str, value: str) -> None:
    for line in f"{name}: {value}".split("\r\n"):
        assert line.strip()
        assert len(line) <= (76 if "=?" in line else 78)
        for word in re.findall(r"=\?\S*", line):
            assert ENCODED_WORD.fullmatch(word)
            assert len(word) <= 75


def decoded(value: str) -> str:
    parts = decode_header(value.replace("\r\n", ""))
    return "".join(part.decode(charset or "ascii") if isinstance(part, bytes) else part for part, charset in parts)


@given(TEXTS)
@settings(max_examples=300, deadline=None)
def test_any_subject_arrives_as_one_line(text: str) -> None:
    value, seen = sent(text_header("Subject", text))

    if value:
        assert_lengths("Subject", value)
    assert decoded(value) == seen == clean_line(text)


@pytest.mark.parametrize(
    "text",
    [
        "Re: some few filler words here RE: Routeraustausch und übriggebliebene Glasfaser",
        "Grüße an 😀 " * 15,
        "x" * 70 + " ü",
        "",
        "x" * MAX_TEXT,
        "ü" * 2_000,
        "many  spaces   between " * 20,
    ],
)
def test_long_subject_arrives_unchanged(text: str) -> None:
    value, seen = sent(text_header("Subject", text))

    if value:
        assert_lengths("Subject", value)
    assert decoded(value) == seen == clean_line(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\r\nBcc: eve@example.org", "a Bcc: eve@example.org"),
        ("a\tb\n", "a b"),
        ("\x1b[31mred\0", "[31mred"),
        ("a\u2028\x85b", "a b"),
        ("\ud800", ""),
        ("x" * (MAX_TEXT + 1), "x" * (MAX_TEXT - 1) + "…"),
    ],
)
def test_subject_is_cleaned(text: str, line: str) -> None:
    assert sent(text_header("Subject", text))[1] == line


@given(NAMES)
@settings(max_examples=100, deadline=None)
def test_display_name_in_any_script_arrives(name: str) -> None:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')

    value, seen = sent(mailbox_header("From", f'"{quoted}" <tasks@example.org>'))

    assert_lengths("From", value)
    if "=?" in value:  # which the parser of Python 3.11 puts together with spaces too many
        assert decoded(value) == f"{name} <tasks@example.org>"
    else:
        assert (seen.addresses[0].display_name, seen.addresses[0].addr_spec) == (name, "tasks@example.org")


@pytest.mark.parametrize("length", [1, 20, 240])
def test_long_addresses_arrive(length: int) -> None:
    addresses = [f"{letter * length}@example.org" for letter in "abcdefgh"]

    value, seen = sent(addresses_header("To", addresses))

    assert [address.addr_spec for address in seen.addresses] == addresses
    assert max(map(len, value.split("\r\n"))) <= max(78, length + 14)


def test_bare_address_of_any_length_is_sent_as_it_is() -> None:
    address = f"{'a' * 240}@example.org"

    assert sent(mailbox_header("From", address))[0] == address


def test_subject_injects_no_header() -> None:
    params = SendEmailParameters(to=("ann@example.org",), subject="".join(SPECIAL), body="text")

    message = message_from_bytes(build_message(1, "tasks@example.org", params).as_bytes(), policy=default)

    assert message["Bcc"] is None
    assert message["Subject"].startswith("=?utf-8?q?=0d=0aBcc:_eve@example.org?==??= Bcc: eve@example.org")
