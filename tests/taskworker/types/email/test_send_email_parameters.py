"""Parameters that `send_email` refuses, because they could inject a header or are no address."""

from __future__ import annotations

import msgspec
import pytest

from taskcore.testing import parse_parameters
from taskworker.types.email.send_email import SendEmail

MESSAGE = {"to": ["ann@example.org"], "subject": "Hello", "body": "How are you?\n"}


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
def test_invalid_address_is_refused(place: str, address: str) -> None:
    value = address if place in ("sender", "reply_to") else [address]

    with pytest.raises(msgspec.ValidationError, match=place):
        parse_parameters(SendEmail, **MESSAGE | {place: value})


@pytest.mark.parametrize("to", [[], ["ann@example.org"] * 101])
def test_number_of_recipients_is_1_to_100(to: list[str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="to"):
        parse_parameters(SendEmail, **MESSAGE | {"to": to})
