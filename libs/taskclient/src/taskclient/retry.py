"""Decides whether a failed request is sent again, and after how long. `taskclient.connection` acts on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential backoff. `max_attempts` includes the first; a Retry-After longer than `max_backoff_s` gives up."""

    max_attempts: int = 4
    initial_backoff_s: float = 0.2
    max_backoff_s: float = 30.0


DEFAULT_RETRY_POLICY = RetryPolicy()


def plan_retry(policy: RetryPolicy, attempt: int, retry_after_s: float | None = None) -> float | None:
    """Return the seconds to wait after the failed `attempt` (from 1), or None to give up.

    `retry_after_s` is the server's Retry-After.
    """
    if attempt >= policy.max_attempts:
        return None
    if retry_after_s is None:
        return min(policy.initial_backoff_s * 2.0 ** (attempt - 1), policy.max_backoff_s)
    return retry_after_s if retry_after_s <= policy.max_backoff_s else None


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """Return the seconds from now. The header is a number or an HTTP date (RFC 9110, 10.2.3); None if it is neither."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
