"""Runs attempts and tells their observers. Every attempt ends, whatever fails."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from taskcore.domain import outcomes
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt
from taskcore.execution.attempt_runner import AttemptRunner
from taskcore.execution.running_attempts import AttemptAbandoned, RunningAttempt, RunningAttempts
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.exception_text import summarize_exception
from taskcore.observability.metrics import ATTEMPTS_ABANDONED

log = structlog.stdlib.get_logger(__name__)


class ObservedRunner:
    """Thread-safe."""

    def __init__(self, runner: AttemptRunner, running: RunningAttempts, observers: Sequence[AttemptObserver]) -> None:
        self._runner = runner
        self._running = running
        self._observers = observers

    def run(self, claimed: ClaimedTask) -> FinishedAttempt | None:
        """Run the attempt in the current context. Raises nothing but `AttemptAbandoned`."""
        try:
            for observer in self._observers:
                observer.started(claimed)
            finished = self._runner.run(claimed)
        except AttemptAbandoned:
            raise
        except BaseException as exc:  # a fault of ours, or a process without threads or memory to be had
            finished = _could_not_run(claimed, exc)
        self._observe_end(claimed, finished)
        return finished

    def abandon_stuck(self, after_s: float) -> list[tuple[ClaimedTask, FinishedAttempt | None]]:
        """End the attempts that have not stopped `after_s` after their interrupt. Return them with their results."""
        return [(one.claimed, self._abandon(one)) for one in self._running.abandon_stuck(after_s)]

    def prestart_forkserver(self) -> None:
        self._runner.prestart_forkserver()

    def close(self) -> None:
        self._runner.close()

    def _abandon(self, attempt: RunningAttempt) -> FinishedAttempt | None:
        finished = self._runner.end_abandoned(attempt)
        context = attempt.context.copy()
        context.run(log.error, "attempt.abandoned", cause=attempt.cancellation.cause)
        context.run(self._observe_end, attempt.claimed, finished)
        ATTEMPTS_ABANDONED.labels(attempt.claimed.type).inc()
        return finished

    def _observe_end(self, claimed: ClaimedTask, finished: FinishedAttempt | None) -> None:
        try:
            for observer in self._observers:
                observer.ended(claimed, None if finished is None else finished.result)
        except BaseException:
            log.exception("attempt.observer_failed")


def _could_not_run(claimed: ClaimedTask, exc: BaseException) -> FinishedAttempt:
    error = f"the worker could not run it: {summarize_exception(exc)}"
    log.error("attempt.could_not_run", error=error)
    result = outcomes.could_not_start(claimed.worker_losses, error)._replace(is_undescribed=True)
    return FinishedAttempt(claimed.lease, claimed.type, result)
