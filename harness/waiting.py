"""Waiting for outcomes. A deadline here is generous: it ends a hung test, it asserts no speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Outcome = TypeVar("Outcome")

DEADLINE_S = 60.0


def eventually(
    condition: Callable[[], Outcome], timeout_s: float = DEADLINE_S, *, poll_s: float = 0.05, description: str = ""
) -> Outcome:
    """Call until the answer is true in Python's sense, and give that answer.

    `AssertionError` from the call counts as not yet, so that it may assert; the last one is raised at the deadline.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if answer := condition():
                return answer
            failure = AssertionError(f"{description or condition} did not come true within {timeout_s} s: {answer!r}")
        except AssertionError as exc:
            failure = exc
        if time.monotonic() > deadline:
            raise failure
        time.sleep(poll_s)
