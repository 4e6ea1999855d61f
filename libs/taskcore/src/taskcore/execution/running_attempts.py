"""The attempts that run in this process now: to interrupt them, and to end those that take too long."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import structlog

from taskcore.domain.tasks import ClaimedTask
from taskcore.observability.log_context import attempt_context
from taskcore.plugins.cancellation import CancellationToken, InterruptCause

log = structlog.stdlib.get_logger(__name__)


class AttemptTable(Protocol):
    """Where others can read what runs here, even after this process has died."""

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        """An attempt starts. `in_process`: in a process of its own. Answers the slot that it has until `clear`."""

    def clear(self, slot: int) -> None:
        """The attempt in `slot` is over."""


class NullAttemptTable:
    """Nobody reads."""

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        return 0

    def clear(self, slot: int) -> None:
        pass


@dataclass(frozen=True, slots=True, eq=False)
class RunningAttempt:
    """One attempt at work. `can_cancel`: its type can be stopped by a cancel."""

    claimed: ClaimedTask
    cancellation: CancellationToken
    slot: int
    can_cancel: bool


class RunningAttempts:
    """Thread-safe."""

    def __init__(self, table: AttemptTable | None = None) -> None:
        self.table = table or NullAttemptTable()
        self._attempts: dict[int, RunningAttempt] = {}
        self._changed = threading.Condition()
        self._next_check = math.inf  # when the watchdog looks at the deadlines again
        self._watchdog: threading.Thread | None = None

    def start(self, claimed: ClaimedTask, *, own_process: bool = False, can_cancel: bool = True) -> RunningAttempt:
        """The attempt begins; its timeout counts from here, or from `start_clock` where it is `in_process`."""
        has_clock = claimed.timeout_s is not None and not own_process
        deadline = time.monotonic() + (claimed.timeout_s or 0) if has_clock else None
        slot = self.table.place(claimed, deadline, own_process)
        attempt = RunningAttempt(claimed, CancellationToken(deadline), slot, can_cancel)
        self._attempts[claimed.lease.task_id] = attempt
        if deadline is not None:
            self._watch(deadline)
        return attempt

    def start_timeout(self, attempt: RunningAttempt) -> None:
        """There is a process to run it in."""
        if attempt.claimed.timeout_s is not None:
            attempt.cancellation.deadline = time.monotonic() + attempt.claimed.timeout_s
            self._watch(attempt.cancellation.deadline)

    def end(self, attempt: RunningAttempt) -> None:
        task_id = attempt.claimed.lease.task_id
        if self._attempts.get(task_id) is attempt:  # a worker that lost its lease may run a later attempt beside it
            del self._attempts[task_id]
        self.table.clear(attempt.slot)

    def interrupt(self, task_id: int, attempt_number: int, cause: InterruptCause) -> bool:
        """Tell one attempt to stop. False: it does not run here, was told before, or cannot be cancelled."""
        attempt = self._find(task_id, attempt_number)
        if attempt is None or (cause is InterruptCause.CANCEL and not attempt.can_cancel):
            return False
        return attempt.cancellation.interrupt(cause)

    def interrupt_all(self, cause: InterruptCause) -> int:
        """Tell every attempt to stop. Answers how many had not been told before."""
        return sum(attempt.cancellation.interrupt(cause) for attempt in self.attempts())

    def request_pause(self, task_id: int, attempt_number: int) -> bool:
        """Tell one attempt that it should pause. False: it does not run here."""
        attempt = self._find(task_id, attempt_number)
        if attempt is None:
            return False
        attempt.cancellation.request_pause()
        return True

    def attempts(self) -> list[RunningAttempt]:
        """Those that run now."""
        return list(self._attempts.values())

    def wait_until_none(self, timeout_s: float) -> bool:
        """Whether all attempts ended in time."""
        until = time.monotonic() + timeout_s
        while self._attempts and time.monotonic() < until:
            time.sleep(0.01)
        return not self._attempts

    def _find(self, task_id: int, attempt_number: int) -> RunningAttempt | None:
        attempt = self._attempts.get(task_id)
        return attempt if attempt is not None and attempt.claimed.lease.attempt == attempt_number else None

    def _watch(self, deadline: float) -> None:
        """Have the watchdog look at `deadline` at the latest. Most deadlines lie behind one that it waits for."""
        with self._changed:
            if self._watchdog is None:
                self._watchdog = threading.Thread(target=self._watch_deadlines, name="watchdog", daemon=True)
                self._watchdog.start()
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
        """Interrupt what is beyond its deadline. Answers the next deadline."""
        now = time.monotonic()
        earliest = math.inf
        for attempt in self.attempts():
            deadline = attempt.cancellation.deadline
            if deadline is None or attempt.cancellation.cause is not None:
                continue
            if deadline > now:
                earliest = min(earliest, deadline)
            elif attempt.cancellation.interrupt(InterruptCause.TIMEOUT):
                claimed = attempt.claimed
                with attempt_context(claimed):
                    log.info("attempt.timed_out", timeout_s=claimed.timeout_s)
        return earliest
