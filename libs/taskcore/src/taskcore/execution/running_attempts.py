"""The attempts that run in this process: to interrupt them, and to end those whose timeout has passed."""

from __future__ import annotations

import math
import threading
import time
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from taskcore.domain.tasks import ClaimedTask
from taskcore.errors import TaskcoreError
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.interrupts import InterruptCause

log = structlog.stdlib.get_logger(__name__)


class AttemptTable(Protocol):
    """Shows the supervisor which attempts run here, even after this process has died."""

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        """Record that an attempt starts, and return its slot."""

    def clear(self, slot: int) -> None:
        """Record that the attempt in `slot` has ended."""


class NullAttemptTable:
    """For processes without a supervisor."""

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        return 0

    def clear(self, slot: int) -> None:
        pass


class AttemptAbandoned(TaskcoreError):
    """The attempt was settled while its thread went on. What the thread returns is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class RunningAttempt:
    """One running attempt. `can_cancel` says whether a cancel interrupts its type. Its `context` has its log fields."""

    claimed: ClaimedTask
    cancellation: CancellationToken
    slot: int
    own_process: bool
    can_cancel: bool
    context: Context = field(default_factory=copy_context)


class RunningAttempts:
    """Thread-safe."""

    def __init__(self, table: AttemptTable | None = None) -> None:
        self.table = table or NullAttemptTable()
        self._attempts: dict[int, RunningAttempt] = {}
        self._abandoned: set[RunningAttempt] = set()
        self._end_lock = threading.Lock()
        self._changed = threading.Condition()
        self._next_check = math.inf  # when the watchdog looks at the deadlines again
        self._watchdog: threading.Thread | None = None

    def start(self, claimed: ClaimedTask, *, own_process: bool = False, can_cancel: bool = True) -> RunningAttempt:
        """Add an attempt. Its timeout starts here, or with `start_timeout` when it has its `own_process`."""
        if claimed.timeout_s is not None:
            self._start_watchdog()
        has_deadline = claimed.timeout_s is not None and not own_process
        deadline = time.monotonic() + (claimed.timeout_s or 0) if has_deadline else None
        slot = self.table.place(claimed, deadline, own_process)
        attempt = RunningAttempt(claimed, CancellationToken(deadline), slot, own_process, can_cancel)
        self._attempts[claimed.lease.task_id] = attempt
        if deadline is not None:
            self._watch(deadline)
        return attempt

    def start_timeout(self, attempt: RunningAttempt) -> None:
        """Start the timeout now, when the fork server is ready for the attempt."""
        if attempt.claimed.timeout_s is not None:
            attempt.cancellation.deadline = time.monotonic() + attempt.claimed.timeout_s
            self._watch(attempt.cancellation.deadline)

    def end(self, attempt: RunningAttempt) -> None:
        """Remove an attempt. Raises `AttemptAbandoned` when `abandon_stuck` has done so before."""
        with self._end_lock:
            if attempt in self._abandoned:
                self._abandoned.remove(attempt)
                raise AttemptAbandoned
            self._remove(attempt)

    def abandon_stuck(self, after_s: float) -> list[RunningAttempt]:
        """Remove the attempts in threads that have not stopped `after_s` after their interrupt, and return them."""
        limit = time.monotonic() - after_s
        with self._end_lock:
            stuck = [attempt for attempt in self.attempts() if _is_stuck(attempt, limit)]
            for attempt in stuck:
                self._abandoned.add(attempt)
                self._remove(attempt)
        return stuck

    def interrupt(self, task_id: int, attempt_number: int, cause: InterruptCause) -> bool:
        """Interrupt one attempt. Return False if it does not run here, was interrupted, or cannot be cancelled."""
        attempt = self._find(task_id, attempt_number)
        if attempt is None or (cause is InterruptCause.CANCEL and not attempt.can_cancel):
            return False
        return attempt.cancellation.interrupt(cause)

    def interrupt_all(self, cause: InterruptCause) -> int:
        """Interrupt every attempt. Return how many had not been interrupted before."""
        return sum(attempt.cancellation.interrupt(cause) for attempt in self.attempts())

    def request_pause(self, task_id: int, attempt_number: int) -> bool:
        """Ask one attempt to pause. Return False if it does not run here."""
        attempt = self._find(task_id, attempt_number)
        if attempt is None:
            return False
        attempt.cancellation.request_pause()
        return True

    def attempts(self) -> list[RunningAttempt]:
        return list(self._attempts.values())

    def wait_until_none(self, timeout_s: float) -> bool:
        """Wait until no attempt runs. Return False at the timeout."""
        until = time.monotonic() + timeout_s
        while self._attempts and time.monotonic() < until:
            time.sleep(0.01)
        return not self._attempts

    def _remove(self, attempt: RunningAttempt) -> None:
        task_id = attempt.claimed.lease.task_id
        if self._attempts.get(task_id) is attempt:  # after a lost lease a later attempt of the task may run here too
            del self._attempts[task_id]
        self.table.clear(attempt.slot)

    def _find(self, task_id: int, attempt_number: int) -> RunningAttempt | None:
        attempt = self._attempts.get(task_id)
        return attempt if attempt is not None and attempt.claimed.lease.attempt == attempt_number else None

    def _start_watchdog(self) -> None:
        with self._changed:
            if self._watchdog is None:
                watchdog = threading.Thread(target=self._watch_deadlines, name="watchdog", daemon=True)
                watchdog.start()  # raises when the process can start no thread
                self._watchdog = watchdog

    def _watch(self, deadline: float) -> None:
        """Have the watchdog check no later than `deadline`. It usually waits for an earlier one already."""
        with self._changed:
            if deadline < self._next_check:
                self._next_check = deadline
                self._changed.notify()

    def _watch_deadlines(self) -> None:
        while True:
            with self._changed:
                self._next_check = self._interrupt_expired()
                wait_s = self._next_check - time.monotonic()
                self._changed.wait(None if wait_s == math.inf else max(0.0, wait_s))

    def _interrupt_expired(self) -> float:
        """Interrupt the attempts whose deadline has passed. Return the next deadline."""
        now = time.monotonic()
        earliest = math.inf
        for attempt in self.attempts():
            deadline = attempt.cancellation.deadline
            if deadline is None or attempt.cancellation.cause is not None:
                continue
            if deadline > now:
                earliest = min(earliest, deadline)
            elif attempt.cancellation.interrupt(InterruptCause.TIMEOUT):
                attempt.context.copy().run(log.info, "attempt.timed_out", timeout_s=attempt.claimed.timeout_s)
        return earliest


def _is_stuck(attempt: RunningAttempt, limit: float) -> bool:
    """Not while the worker stops: what does not end then is released anyway."""
    token = attempt.cancellation
    if attempt.own_process or token.interrupted_at is None or token.cause is InterruptCause.SHUTDOWN:
        return False
    return token.interrupted_at < limit
