"""A log line for each attempt that failed, with its cause; and where a person watches, for each that succeeded."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import structlog

from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.states import Status
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.observability.attempt_observer import AttemptObserver

MAX_LINES_PER_S = 20
FAILURES = frozenset({AttemptOutcome.FAILED, AttemptOutcome.TIMED_OUT, AttemptOutcome.CRASHED, AttemptOutcome.LOST})

log = structlog.stdlib.get_logger(__name__)


class LineLimit:
    """Thread-safe. Admits up to `max_per_s` lines in each second."""

    def __init__(self, max_per_s: int) -> None:
        self._max_per_s = max_per_s
        self._lock = threading.Lock()
        self._second = 0
        self._admitted = 0
        self._left_out = 0

    def admit(self) -> dict[str, int] | None:
        """Return the fields that a line gets, which say how many were left out before. `None` leaves it out, too."""
        with self._lock:
            second = int(time.monotonic())
            if second != self._second:
                self._second, self._admitted = second, 0
            if self._admitted >= self._max_per_s:
                self._left_out += 1
                return None
            self._admitted += 1
            left_out, self._left_out = self._left_out, 0
        return {"left_out": left_out} if left_out else {}


class FailureLog(AttemptObserver):
    """Logs `attempt.failed`: a warning while attempts are left, an error when it ends the task."""

    def __init__(self, max_per_s: int = MAX_LINES_PER_S) -> None:
        self._limit = LineLimit(max_per_s)

    def ended(self, task: ClaimedTask, result: AttemptResult | None) -> None:
        if result is not None and result.outcome in FAILURES:
            self._write(result)

    def record(self, batch: Sequence[FinishedAttempt]) -> None:
        """Log those of the batch that failed, in another process than they ran in."""
        for one in batch:
            if one.result.outcome in FAILURES:
                self._write(one.result, task_id=one.lease.task_id, attempt=one.lease.attempt, task_type=one.type)

    def _write(self, result: AttemptResult, **ids: Any) -> None:
        if (left_out := self._limit.admit()) is None:
            return
        error, _, traceback = (result.error or "").partition("\n")
        fields: dict[str, Any] = {"outcome": result.outcome, "reason": result.reason, "error": error}
        if result.retry_in is not None:
            fields["retry_in_s"] = round(result.retry_in.total_seconds(), 3)
        if traceback := traceback.strip():
            fields["exception"] = traceback
        write = log.error if result.status is Status.FAILED else log.warning
        write("attempt.failed", **ids, **{name: value for name, value in fields.items() if value}, **left_out)


class SuccessLog(AttemptObserver):
    """Logs `attempt.succeeded`, for a person at a terminal."""

    def __init__(self, max_per_s: int = MAX_LINES_PER_S) -> None:
        self._limit = LineLimit(max_per_s)

    def settled(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        for task_id, type_, ran_s in [
            (one.lease.task_id, one.type, one.ran_s or 0.0)
            for one in batch
            if one.result.outcome is AttemptOutcome.SUCCEEDED
        ]:
            if (left_out := self._limit.admit()) is not None:
                log.info("attempt.succeeded", task_id=task_id, task_type=type_, ran_s=round(ran_s, 3), **left_out)
