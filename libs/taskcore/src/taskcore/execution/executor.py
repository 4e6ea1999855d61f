"""The heart of a worker: claim, perform, settle. One an executor process; its methods are called from many threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from types import MappingProxyType
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from taskcore.db import prepared
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import OUTBOX, SyncNotifier
from taskcore.db.queues import outbox
from taskcore.db.tasks import claims, settlements
from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptResult, Reason
from taskcore.domain.states import TERMINAL
from taskcore.domain.tasks import ClaimedTask, FinishedAttempt, worker_actor
from taskcore.execution.claimed_task import to_claimed
from taskcore.execution.isolation.forkserver import ForkServer, ForkServerDied
from taskcore.execution.isolation.run_in_process import run_in_process
from taskcore.execution.run_plugin import make_context, run_plugin
from taskcore.execution.running_attempts import RunningAttempt, RunningAttempts
from taskcore.observability.log_context import attempt_context
from taskcore.observability.metrics import CLAIMS_REFUSED, RESULTS_REFUSED, record_claims, record_results
from taskcore.observability.tracing.client_spans import NO_TRACER, run_untraced
from taskcore.observability.tracing.provider import NO_TRACING, Tracing
from taskcore.plugins import Isolation, Plugins
from taskcore.plugins.cancellation import InterruptCause
from taskcore.plugins.context import AttemptServices, NullServices
from taskcore.settings import Settings

_NO_CONTEXTS: Mapping[int, str] = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


def _no_services(claimed: ClaimedTask) -> AttemptServices:
    return NullServices(claimed.lease.task_id, claimed.lease.attempt, claimed.type)


class Executor:
    """Runs tasks under the worker `worker_id` (changed when it has to register anew), as its `incarnation`-th process.

    `engine` must run each statement in a transaction of its own. `services` makes what an attempt's context offers;
    `flush` writes what attempts told, which is there before their end is.
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
        make_services: Callable[[ClaimedTask], AttemptServices] = _no_services,
        flush_reports: Callable[[], None] = lambda: None,
        tracing: Tracing = NO_TRACING,
    ) -> None:
        self._engine = engine
        self._plugins = plugins
        self._settings = settings
        self.worker_id = worker_id
        self._incarnation = incarnation
        self._types = list(plugins)
        self.running = running or RunningAttempts()
        self._forkserver = forkserver or ForkServer(settings)
        self._make_services = make_services
        self._flush_reports = flush_reports
        self._tracing = tracing

    def claim(
        self,
        token: UUID,
        ids: Sequence[int],
        short_ids: Sequence[int] = (),
        short_types: Sequence[str] = (),
        contexts: Mapping[int, str] = _NO_CONTEXTS,
    ) -> list[ClaimedTask]:
        """Claim what may be claimed of `ids`, and of `short_ids` what is of one of `short_types`.

        `contexts` of messages that bring tasks which are followed, by their ids.

        Raises:
            Exception: of `is_database_away`. The claim may have been committed: ask `recall` with the same token.
        """
        began_ns = time.time_ns()
        rows = self._run(
            claims.claim(),
            ids=list(ids),
            short_ids=list(short_ids),
            types=self._types,
            short_types=list(short_types),
            token=token,
            worker=self.worker_id,
            incarnation=self._incarnation,
        )
        record_claims((row.type, row.queued_s) for row in rows)
        return [to_claimed(row, token, self._tracing, began_ns, contexts.get(row.id)) for row in rows]

    def recover_claim(self, token: UUID, contexts: Mapping[int, str] = _NO_CONTEXTS) -> list[ClaimedTask]:
        """What the claim with `token` took, when its answer was lost."""
        began_ns = time.time_ns()
        rows = self._run(claims.find_by_token(), token=token, worker=self.worker_id)
        return [to_claimed(row, token, self._tracing, began_ns, contexts.get(row.id)) for row in rows]

    def handle_unclaimed(self, ids: Sequence[int]) -> list[int]:
        """Deal with `ids` that a claim left. Answers those that are due and could be claimed later, by anyone.

        Those of a type that this worker lacks are sent again in a second, those of a paused queue once it is resumed;
        the rest were duplicates or stale.
        """
        left = self._run(claims.still_due(), ids=list(ids))
        unknown = [row.id for row in left if row.type not in self._plugins]
        if unknown:
            self._run(claims.postpone(), ids=unknown)
            log.warning("task.type_unknown", task_ids=unknown[:10], count=len(unknown))
        if paused := [row.id for row in left if row.is_paused and row.type in self._plugins]:
            self._run(outbox.undispatch(), ids=paused)
        CLAIMS_REFUSED.inc(len(ids) - len(left))
        return [row.id for row in left if row.type in self._plugins and not row.is_paused]

    def run(self, claimed: ClaimedTask) -> FinishedAttempt | None:
        """Run the plugin. Never raises: whatever happens is the verdict.

        None: the lease was over before the attempt was, and there is nothing to settle.
        """
        plugin = self._plugins[claimed.type]
        in_process = claimed.isolated or plugin.isolation is Isolation.PROCESS
        attempt = self.running.start(claimed, own_process=in_process, can_cancel=plugin.can_cancel)
        try:
            with attempt_context(claimed):
                trouble = self._prepare_forkserver(attempt) if in_process else None
                started = time.monotonic()
                verdict = trouble or self._run_plugin(
                    attempt, self._run_in_process if in_process else self._run_in_thread
                )
        finally:
            self.running.end(attempt)
        ended = time.monotonic()
        if verdict is None:
            return None
        waited_s = started - claimed.claimed_at
        return FinishedAttempt(claimed.lease, claimed.type, verdict, waited_s, ended - started, claimed.trace)

    def settle(self, batch: Sequence[FinishedAttempt]) -> bool:
        """Write the ends of attempts, durably. One that cannot be stored ends its own task only.

        Answers whether others depend on a task that is over now.

        Raises:
            Exception: of `is_database_away`; nothing may be known to be written; settle the same batch again.
        """
        try:
            rows = self._settle(batch)
        except DBAPIError as exc:
            if is_database_unavailable(exc):
                raise
            return self._settle_one_by_one(batch, exc)
        record_results(batch)
        settled = {row.id for row in rows}
        if refused := [one.lease.task_id for one in batch if one.lease.task_id not in settled]:
            RESULTS_REFUSED.inc(len(refused))
            log.warning("tasks.results_refused", count=len(refused), task_ids=refused[:10])
        return any(row.dependents_state is not None and row.status in TERMINAL for row in rows)

    def release(self, held: Sequence[ClaimedTask], reason: Reason = Reason.WORKER_STOPPED) -> None:
        """Return tasks that will not be finished here to their queue; they lose nothing."""
        if held:
            verdict = outcomes.released(reason)
            self._settle([FinishedAttempt(one.lease, one.type, verdict, trace=one.trace) for one in held])
            SyncNotifier(self._engine).notify(OUTBOX)

    def prestart_forkserver(self) -> None:
        """Start what makes processes for tasks, before the first of them has to wait for it. Failing is no harm."""
        with suppress(ForkServerDied, OSError):
            self._forkserver.ensure_running()

    def close(self) -> None:
        """Interrupt what runs, and kill what runs in a process of its own. None can be started in one any more."""
        self.running.interrupt_all(InterruptCause.SHUTDOWN)
        self._forkserver.close()

    def _run_plugin(
        self, attempt: RunningAttempt, run: Callable[[RunningAttempt], AttemptResult | None]
    ) -> AttemptResult | None:
        """In a context of its own: whatever a plugin leaves in its thread's, the next task does not find there."""
        followed = attempt.claimed.trace
        if followed is not None:
            return copy_context().run(followed.run, partial(run, attempt))
        return copy_context().run(run_untraced, partial(run, attempt)) if self._tracing.is_enabled else run(attempt)

    def _run_in_thread(self, attempt: RunningAttempt) -> AttemptResult | None:
        claimed = attempt.claimed
        tracer = NO_TRACER if claimed.trace is None else claimed.trace.tracer
        context = make_context(claimed, attempt.cancellation, self._settings, self._make_services(claimed), tracer)
        return run_plugin(self._plugins[claimed.type], claimed, context)

    def _prepare_forkserver(self, attempt: RunningAttempt) -> AttemptResult | None:
        """None, or what becomes of the task because there is no process to be had."""
        try:
            self._forkserver.ensure_running()
        except (ForkServerDied, OSError) as exc:
            claimed = attempt.claimed
            log.error("forkserver.not_ready", error=str(exc))
            is_stopping = self._forkserver.is_closed
            if is_stopping:
                return outcomes.released(Reason.WORKER_STOPPED)
            return outcomes.could_not_start(claimed.worker_losses, f"no process could be had for it: {exc}")
        self.running.start_timeout(attempt)
        return None

    def _run_in_process(self, attempt: RunningAttempt) -> AttemptResult | None:
        claimed = attempt.claimed
        kill_after_s = self._settings.worker.kill_after_s
        return run_in_process(
            self._forkserver, attempt, self._plugins[claimed.type], self._make_services(claimed), kill_after_s
        )

    def _settle(self, batch: Sequence[FinishedAttempt]) -> list[Any]:
        self._flush_reports()
        began_ns = time.time_ns()
        rows = self._run(settlements.settle(), rows=settlements.result_rows(batch), by=worker_actor(self.worker_id))
        if self._tracing.is_enabled:
            settled = {row.id for row in rows}
            for one in batch:
                if one.trace is not None:
                    one.trace.settled(began_ns, one.result, was_held=one.lease.task_id in settled)
        return rows

    def _settle_one_by_one(self, batch: Sequence[FinishedAttempt], cause: DBAPIError) -> bool:
        if len(batch) > 1:
            return max([self.settle([one]) for one in batch])
        (one,) = batch
        of = {"task_id": one.lease.task_id, "task_type": one.type, "attempt": one.lease.attempt}
        log.error("task.result_not_stored", **of, error=str(cause.orig))
        verdict = outcomes.failed("its result could not be stored", Reason.INVALID_RESULT)
        rows = self._settle([one._replace(result=verdict)])
        return any(row.dependents_state is not None for row in rows)

    def _run(self, statement: Any, **parameters: Any) -> list[Any]:
        return prepared.execute(self._engine, statement, parameters)
