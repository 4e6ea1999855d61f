"""Errors."""

from __future__ import annotations

from taskcore.errors import first_line


def test_an_error_without_a_message_is_described_by_its_repr() -> None:
    assert (first_line(TimeoutError()), first_line(OSError("one\ntwo"))) == ("TimeoutError()", "one")
