"""What is read of a message: whose task it is, whatever else is in it."""

from __future__ import annotations

import pytest

from taskcore.messaging.messages import decode, encode

TRACEPARENT = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


def test_what_is_written_is_read() -> None:
    assert decode(encode("default", 5, TRACEPARENT)) == (5, TRACEPARENT)
    assert decode(encode("default", 5)) == (5, None)


@pytest.mark.parametrize(
    "options",
    [
        b"null",
        b"[]",
        b'{"traceparent": 7}',
        b'{"traceparent": {"a": [1]}}',
        b'{"traceparent": "' + b"x" * 100_000 + b'"}',
        b'{"eta": 1, "pipe_target": {"queue": "other"}}',
    ],
)
def test_options_that_are_not_ours_leave_a_message_ours(options: bytes) -> None:
    assert decode(b'{"args": [5], "options": ' + options + b"}") == (5, None)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"args": []}', b'{"args": ["5"]}', b'{"args": [0]}', b"[" * 100_000])
def test_what_names_no_task_is_nobodys(body: bytes) -> None:
    assert decode(body) == (None, None)
