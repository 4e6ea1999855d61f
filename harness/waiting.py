"""Waiting for conditions. Deadlines are generous: they end a hung test and assert no speed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Outcome = TypeVar("Outcome")

DEADLINE_S = 60.0


def eventually(
    condition: Callable[[], Outcome], timeout_s: float = DEADLINE_S, *, poll_s: float = 0.05, description: str = ""
) -> Outcome:
    """Call `condition` until its value is truthy, and return that value.

    An `AssertionError` counts as false, so the condition may assert. At the deadline the last one is raised.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            if value := condition():
                return value
            failure = AssertionError(f"{description or condition} is not true after {timeout_s} s: {value!r}")
        except AssertionError as exc:
            failure = exc
        if time.monotonic() > deadline:
            raise failure
        time.sleep(poll_s)
