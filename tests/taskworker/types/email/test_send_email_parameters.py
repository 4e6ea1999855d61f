"""What `send_email` does not take: whatever could become a header of its own."""

from __future__ import annotations

import msgspec
import pytest

from taskworker.types.email.send_email import SendEmail
from tests.taskworker.types.contexts import parse

LETTER = {"to": ["ann@example.org"], "subject": "Hello", "body": "How are you?\n"}


@pytest.mark.parametrize(
    "subject",
    [
        "a\r\nBcc: eve@example.org",
        "a\nb",
        "a\n",
        "a\rb",
        "a\u2028b",
        "a\x85b",
        "a\0b",
        "=?utf-8?q?a=0d=0aBcc:_eve@example.org?=",
        "=?utf-8?b?YQ0KQmNjOiBldmVAZXhhbXBsZS5vcmc=?=",
    ],
)
def test_a_subject_that_could_become_a_header_is_refused(subject: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="subject"):
        parse(SendEmail, **LETTER | {"subject": subject})


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.org\r\nBcc: eve@example.org",
        "ann@example.org\n",
        "ann@example.org, eve@example.org",
        "Ann <ann@example.org>",
        "=?utf-8?q?a=0d=0ab?=@example.org",
        '"a b"@example.org',
        "ann",
        "ann@",
        "@example.org",
        "a..b@example.org",
        "ann@example..org",
        "ann@bücher.example",
        f"{'a' * 250}@example.org",
    ],
)
@pytest.mark.parametrize("place", ["to", "cc", "bcc", "sender", "reply_to"])
def test_what_is_not_one_plain_address_is_refused(place: str, address: str) -> None:
    value = address if place in ("sender", "reply_to") else [address]

    with pytest.raises(msgspec.ValidationError, match=place):
        parse(SendEmail, **LETTER | {place: value})


@pytest.mark.parametrize("to", [[], ["ann@example.org"] * 101])
def test_a_message_goes_to_one_to_a_hundred_addresses(to: list[str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="to"):
        parse(SendEmail, **LETTER | {"to": to})
