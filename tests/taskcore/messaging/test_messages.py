"""Decoding messages: the task id is found whatever else is in them."""

from __future__ import annotations

import pytest

from taskcore.messaging.messages import decode, encode

TRACEPARENT = "00-" + "a" * 32 + "-" + "1" * 16 + "-01"


def test_an_encoded_message_is_decoded() -> None:
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
def test_foreign_options_do_not_hide_the_task_id(options: bytes) -> None:
    assert decode(b'{"args": [5], "options": ' + options + b"}") == (5, None)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"args": []}', b'{"args": ["5"]}', b'{"args": [0]}', b"[" * 100_000])
def test_a_message_without_a_task_id_is_not_ours(body: bytes) -> None:
    assert decode(body) == (None, None)
