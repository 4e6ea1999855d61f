"""Whether and when the client sends a failed request again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from taskclient.retry import RetryPolicy, parse_retry_after, plan_retry

POLICY = RetryPolicy(max_attempts=3, initial_backoff_s=0.5, max_backoff_s=0.8)
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "pause_s"),
    [
        (1, None, 0.5),
        (2, None, 0.8),  # doubled, and capped
        (3, None, None),  # no attempt is left
        (1, 0.0, 0.0),
        (1, 0.8, 0.8),
        (1, 0.9, None),  # longer than the longest pause
        (3, 0.1, None),
    ],
)
def test_pause_before_the_next_attempt(attempt: int, retry_after_s: float | None, pause_s: float | None) -> None:
    assert plan_retry(POLICY, attempt, retry_after_s) == pause_s


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Wed, 02 Jan 2030 03:04:35 GMT", 30.0),
        ("Wed, 02 Jan 2030 03:04:35 -0000", 30.0),
        ("Wed, 02 Jan 2030 03:00:00 GMT", 0.0),
        ("soon", None),
        ("-7", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert parse_retry_after(header, NOW) == seconds
