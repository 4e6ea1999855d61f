"""The walk of a task through a worker: claim it, run its plugin, settle its result.

The consumer claims, a worker thread runs, and the completer settles, each by calling the one executor of its process:

    ClaimingConsumer ─▶ claim ─▶ SlotPool ─▶ run ─▶ BatchCompleter ─▶ settle
                          │                   │                         │
                   db.tasks.claims      AttemptRunner          db.tasks.settlements

What watches this (metrics, log context, traces) is an `AttemptObserver`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from types import MappingProxyType
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine

from taskcore.db import prepared
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import OUTBOX, SyncNotifier
from taskcore.db.queues import outbox
from taskcore.db.tasks import claims, settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.domain import outcomes
from taskcore.domain.outcomes import Reason
from taskcore.domain.states import TERMINAL
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt, worker_actor
from taskcore.execution.attempt_runner import AttemptRunner
from taskcore.execution.isolation.forkserver import ForkServer
from taskcore.execution.observed_runner import ObservedRunner
from taskcore.execution.running_attempts import RunningAttempts
from taskcore.observability.attempt_log import FailureLog
from taskcore.observability.attempt_observer import AttemptObserver
from taskcore.observability.exception_text import summarize_exception
from taskcore.observability.log_context import LogContext
from taskcore.observability.metrics import CLAIMS_REFUSED, CLAIMS_TYPE_UNKNOWN, AttemptMetrics
from taskcore.observability.periodic_warning import PeriodicWarning
from taskcore.observability.tracing.attempt_spans import AttemptTracer
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import Plugins
from taskcore.plugins.context import AttemptServices, NullServices
from taskcore.plugins.interrupts import InterruptCause
from taskcore.settings import Settings

_NO_TRACEPARENTS: Mapping[int, str] = MappingProxyType({})

_TYPE_UNKNOWN = PeriodicWarning("tasks.type_unknown")

log = structlog.stdlib.get_logger(__name__)


def _null_services(claimed: ClaimedTask) -> AttemptServices:
    return NullServices(claimed.lease.task_id, claimed.lease.attempt, claimed.type)


class Executor:
    """Thread-safe. A process has one.

    It is the `incarnation`-th process of the worker `worker_id`, which changes when the worker registers again.
    `engine` must run each statement in a transaction of its own. `make_services` is called once per attempt.
    `flush_reports` writes the log lines and the progress of attempts, so that they are stored before their results.
    `observers` are called after those for log context, metrics, traces and failures.
    """

    def __init__(
        self,
        engine: Engine,
        plugins: Plugins,
        settings: Settings,
        *,
        worker_id: int,
        incarnation: int,
        running: RunningAttempts | None = None,
        forkserver: ForkServer | None = None,
        make_services: Callable[[ClaimedTask], AttemptServices] = _null_services,
        flush_reports: Callable[[], None] = lambda: None,
        tracing: Tracing = NO_TRACING,
        observers: Sequence[AttemptObserver] = (),
    ) -> None:
        self._engine = engine
        self._plugins = plugins
        self.worker_id = worker_id
        self._incarnation = incarnation
        self._types = list(plugins)
        self._flush_reports = flush_reports
        self._tracer = AttemptTracer(tracing)
        self.observers = (LogContext(), AttemptMetrics(), self._tracer, FailureLog(), *observers)
        self.running = running or RunningAttempts()
        runner = AttemptRunner(
            plugins, settings, self.running, forkserver or ForkServer(settings), make_services, self._tracer
        )
        self._runner = ObservedRunner(runner, self.running, self.observers)

    def claim(
        self,
        token: UUID,
        ids: Sequence[int],
        short_ids: Sequence[int] = (),
        short_types: Sequence[str] = (),
        traceparents: Mapping[int, str] = _NO_TRACEPARENTS,
    ) -> list[ClaimedTask]:
        """Claim the tasks `ids`, and those of `short_ids` whose type is in `short_types`. Return those claimed.

        `traceparents` came with the messages, and are by task id.

        Raises:
            Exception: one for which `is_database_unavailable` holds. The claim may be committed all the same: call
                `recover_claim` with the same token.
        """
        parameters = {
            "ids": list(ids),
            "short_ids": list(short_ids),
            "types": self._types,
            "short_types": list(short_types),
            "incarnation": self._incarnation,
        }
        return self._claim(claims.claim(), token, traceparents, **parameters)

    def recover_claim(self, token: UUID, traceparents: Mapping[int, str] = _NO_TRACEPARENTS) -> list[ClaimedTask]:
        """Return the tasks that the claim with `token` got, after its reply was lost."""
        return self._claim(claims.find_by_token(), token, traceparents)

    def handle_unclaimed(self, ids: Sequence[int]) -> list[int]:
        """Deal with `ids` that were not claimed. Return those that are due and that any worker could claim later.

        Tasks of a type that this worker lacks are sent again in a second, tasks of a paused queue once it is resumed.
        All other messages were duplicate or stale.
        """
        due = self._execute(claims.still_due(), ids=list(ids))
        if unknown := {row.id: row.type for row in due if row.type not in self._plugins}:
            self._execute(claims.postpone(), ids=list(unknown))
            CLAIMS_TYPE_UNKNOWN.inc(len(unknown))
            _TYPE_UNKNOWN.add(Counter(unknown.values()))
        if paused := [row.id for row in due if row.is_paused and row.type in self._plugins]:
            self._execute(outbox.undispatch(), ids=paused)
        CLAIMS_REFUSED.inc(len(ids) - len(due))
        return [row.id for row in due if row.type in self._plugins and not row.is_paused]

    def run(self, claimed: ClaimedTask) -> FinishedAttempt | None:
        """Run the attempt to its end. Raises nothing but `AttemptAbandoned`, whatever the plugin does.

        The attempt has a copy of the thread's context, so that nothing that a plugin sets reaches the next task.
        Returns `None` when the lease ended before the attempt, so that there is nothing to settle.
        """
        return copy_context().run(self._runner.run, claimed)

    def abandon_stuck(self, after_s: float) -> list[tuple[ClaimedTask, FinishedAttempt | None]]:
        """End the attempts that have not stopped `after_s` after their interrupt. Return them with their results.

        Their threads go on unobserved. When one ends after all, `run` raises `AttemptAbandoned` in it.
        """
        return self._runner.abandon_stuck(after_s)

    def settle(self, batch: Sequence[FinishedAttempt]) -> bool:
        """Store results, durably. A result that cannot be stored fails its own task only.

        Returns whether other tasks depend on one that is finished now.

        Raises:
            Exception: one for which `is_database_unavailable` holds. Results may be stored all the same: settle the
                same batch again.
        """
        try:
            rows = self._settle(batch)
        except Exception as exc:  # also what cannot be encoded: it must not keep other results from being stored
            if is_database_unavailable(exc):
                raise
            return self._settle_one_by_one(batch, exc)
        return any(row.dependents_state is not None and row.status in TERMINAL for row in rows)

    def release(self, claimed: Sequence[ClaimedTask], reason: Reason = Reason.WORKER_STOPPED) -> None:
        """Put tasks back into their queues, at no charge."""
        if claimed:
            result = outcomes.released(reason)
            self._settle([FinishedAttempt(one.lease, one.type, result) for one in claimed])
            SyncNotifier(self._engine).notify(OUTBOX)

    def discard(self, claimed: Sequence[ClaimedTask]) -> None:
        """Forget tasks that have not started and whose leases are lost."""
        for observer in self.observers:
            for one in claimed:
                observer.ended(one, None)

    def prestart_forkserver(self) -> None:
        """Start the fork server before the first task needs it. On failure that task starts it again."""
        self._runner.prestart_forkserver()

    def close(self) -> None:
        """Interrupt all attempts and kill those in processes of their own. No such process can start from now on."""
        self.running.interrupt_all(InterruptCause.SHUTDOWN)
        self._runner.close()

    def _claim(
        self, statement: Any, token: UUID, traceparents: Mapping[int, str], **parameters: Any
    ) -> list[ClaimedTask]:
        asked_ns = time.time_ns()
        rows = self._execute(statement, token=token, worker=self.worker_id, **parameters)
        found = claims.to_claims(rows, token, traceparents)
        for observer in self.observers:
            observer.claimed(found, asked_ns)
        return [claim.task for claim in found]

    def _settle(self, batch: Sequence[FinishedAttempt]) -> list[Any]:
        self._flush_reports()
        asked_ns = time.time_ns()
        results = result_rows(batch, self._tracer.span_ids(batch))
        rows = self._execute(settlements.settle(), rows=results, by=worker_actor(self.worker_id))
        stored = {row.id for row in rows}
        settled = [one for one in batch if one.lease.task_id in stored]
        refused = [one for one in batch if one.lease.task_id not in stored]
        for observer in self.observers:
            observer.settled(settled, asked_ns)
            observer.refused(refused, asked_ns)
        if refused:
            log.warning(
                "tasks.results_refused", count=len(refused), task_ids=[one.lease.task_id for one in refused[:10]]
            )
        return rows

    def _settle_one_by_one(self, batch: Sequence[FinishedAttempt], cause: Exception) -> bool:
        if len(batch) > 1:
            return max([self.settle([one]) for one in batch])
        (one,) = batch
        ids = {"task_id": one.lease.task_id, "task_type": one.type, "attempt": one.lease.attempt}
        log.error("task.result_not_stored", **ids, error=summarize_exception(cause))
        result = outcomes.failed("its result could not be stored", Reason.INVALID_RESULT)
        rows = self._settle([one._replace(result=result)])
        return any(row.dependents_state is not None for row in rows)

    def _execute(self, statement: Any, **parameters: Any) -> list[Any]:
        return prepared.execute(self._engine, statement, parameters)
