"""The result of a failed attempt: a retry by the policy of its type, or the end of its task."""

from __future__ import annotations

import random
from datetime import timedelta

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult, Reason
from taskcore.domain.retry import RetryPolicy, plan_retry


def failed_attempt(
    policy: RetryPolicy,
    max_attempts: int,
    failures: int,
    error: str,
    *,
    reason: Reason = Reason.ATTEMPTS_EXHAUSTED,
    outcome: AttemptOutcome = AttemptOutcome.FAILED,
) -> AttemptResult:
    """Return a retry, or a failure for `reason` when no attempt is left. `failures` counts this one. Never raises.

    A policy that raises is replaced by the default one.
    """
    wait, is_replaced = _plan(policy, max_attempts, failures)
    if wait is None:
        return outcomes.failed(error, reason, outcome)
    return outcomes.retry_later(error, wait, outcome)._replace(is_undescribed=is_replaced)


def _plan(policy: RetryPolicy, max_attempts: int, failures: int) -> tuple[timedelta | None, bool]:
    spread = random.uniform(-1, 1)
    try:
        return plan_retry(policy, max_attempts, failures, spread), False
    except BaseException:  # a policy may be a subclass, whose arithmetic may raise anything
        return plan_retry(RetryPolicy(), max_attempts, failures, spread), True
