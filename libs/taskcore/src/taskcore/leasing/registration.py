"""A worker's task types as rows of the database."""

from __future__ import annotations

from typing import Any

from taskcore.domain.retry import RetryPolicy
from taskcore.plugins import Plugin


def type_row(plugin: Plugin[Any]) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "description": plugin.description,
        "queue": plugin.queue,
        "schema": plugin.schema(),
        "max_attempts": plugin.retry.max_attempts,
        "retry": _retry_policy(plugin.retry),
        "timeout_s": plugin.timeout_s(),
        "isolation": plugin.isolation,
        "can_cancel": plugin.can_cancel,
        "can_pause": plugin.can_pause,
    }


def _retry_policy(policy: RetryPolicy) -> dict[str, Any]:
    if policy.waits:
        return {"waits_s": [wait.total_seconds() for wait in policy.waits], "jitter": policy.jitter}
    return {
        "initial_s": policy.initial.total_seconds(),
        "factor": policy.factor,
        "cap_s": policy.cap.total_seconds(),
        "jitter": policy.jitter,
    }
