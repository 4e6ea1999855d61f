"""A failed attempt is a log line with its cause."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt, Lease
from taskcore.observability.attempt_log import FailureLog, SuccessLog

CLAIMED = ClaimedTask(Lease(7, 2, uuid4()), "n", "noop", "default", {}, 0, 4, 0.0)
ERROR = "ValueError: no luck\n\nTraceback (most recent call last):\n  File …"


def finished(result: AttemptResult) -> FinishedAttempt:
    return FinishedAttempt(CLAIMED.lease, "noop", result, 0.0, 1.23456)


def logged(result: AttemptResult | None) -> list[Any]:
    with capture_logs() as lines:
        FailureLog().ended(CLAIMED, result)
    return lines


def test_failure_with_attempts_left_is_a_warning() -> None:
    assert logged(outcomes.retry_later(ERROR, timedelta(seconds=5))) == [
        {
            "event": "attempt.failed",
            "log_level": "warning",
            "outcome": "failed",
            "error": "ValueError: no luck",
            "exception": "Traceback (most recent call last):\n  File …",
            "retry_in_s": 5.0,
        }
    ]


def test_failure_that_ends_the_task_is_an_error() -> None:
    (line,) = logged(outcomes.failed("no luck", Reason.NON_RETRYABLE))

    assert line == {
        "event": "attempt.failed",
        "log_level": "error",
        "outcome": "failed",
        "reason": "non_retryable",
        "error": "no luck",
    }


@pytest.mark.parametrize(
    "result",
    [
        None,
        outcomes.succeeded(None),
        outcomes.cancelled("enough", Reason.CANCELLED),
        outcomes.paused(),
        outcomes.released(Reason.WORKER_STOPPED),
    ],
)
def test_other_ends_are_not_failures(result: AttemptResult | None) -> None:
    assert not logged(result)


def test_end_that_another_process_records_names_its_attempt() -> None:
    with capture_logs() as lines:
        FailureLog().record([finished(outcomes.crashed("its process exited with status 3", 0))])

    (line,) = lines
    assert {"task_id": 7, "attempt": 2, "task_type": "noop", "outcome": "crashed"}.items() <= line.items()


def test_lines_beyond_the_limit_are_counted_in_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log = FailureLog(max_per_s=2)
    clock = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    with capture_logs() as lines:
        for _ in range(5):
            log.ended(CLAIMED, outcomes.failed("no luck", Reason.NON_RETRYABLE))
        clock = 101.0
        log.ended(CLAIMED, outcomes.failed("no luck", Reason.NON_RETRYABLE))

    assert [line.get("left_out") for line in lines] == [None, None, 3]


def test_success_is_one_short_line_for_a_person() -> None:
    with capture_logs() as lines:
        SuccessLog().settled([finished(outcomes.succeeded(None)), finished(outcomes.paused())], 0)

    assert lines == [
        {"event": "attempt.succeeded", "log_level": "info", "task_id": 7, "task_type": "noop", "ran_s": 1.235}
    ]
