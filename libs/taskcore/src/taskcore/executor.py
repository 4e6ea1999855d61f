"""The heart of a worker: claim, perform, settle. One an executor process; its methods are called from many threads."""

from __future__ import annotations

import random
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from taskcore.db import claims, direct, outbox, settlements
from taskcore.db.session import is_database_away
from taskcore.domain import outcomes
from taskcore.domain.documents import clean_document, clean_text
from taskcore.domain.outcomes import Cancel, Fail, Pause, Reason, RetryAfter, Verdict
from taskcore.domain.retry import plan_retry
from taskcore.domain.tasks import MAX_TASK_BYTES, Claimed, Finished, Lease, worker_actor
from taskcore.errors import InvalidDocument
from taskcore.plugins import Plugin, Plugins, TaskContext
from taskcore.settings import Settings
from taskcore.telemetry import ATTEMPTS, CLAIMS_REFUSED, RESULTS_REFUSED, RUN_SECONDS

log = structlog.stdlib.get_logger(__name__)


class Executor:
    """Runs tasks under the worker `worker_id` (changed when it has to register anew), as its `incarnation`-th process.

    `engine` must run each statement in a transaction of its own.
    """

    def __init__(
        self, engine: Engine, plugins: Plugins, settings: Settings, *, worker_id: int, incarnation: int
    ) -> None:
        self._engine = engine
        self._plugins = plugins
        self._settings = settings
        self.worker_id = worker_id
        self._incarnation = incarnation
        self._types = list(plugins)

    def claim(
        self, token: UUID, ids: Sequence[int], short_ids: Sequence[int] = (), short_types: Sequence[str] = ()
    ) -> list[Claimed]:
        """Claim what may be claimed of `ids`, and of `short_ids` what is of one of `short_types`.

        Raises:
            Exception: of `is_database_away`. The claim may have been committed: ask `recall` with the same token.
        """
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
        return [_claimed(row, token) for row in rows]

    def recall(self, token: UUID) -> list[Claimed]:
        """What the claim with `token` took, when its answer was lost."""
        return [_claimed(row, token) for row in self._run(claims.recall(), token=token, worker=self.worker_id)]

    def refused(self, ids: Sequence[int]) -> list[int]:
        """Deal with `ids` that a claim left. Answers those that are due and could be claimed later, by anyone.

        Those of a type that this worker lacks are sent again in a second, those of a paused queue once it is resumed;
        the rest were duplicates or stale.
        """
        left = self._run(claims.unclaimed(), ids=list(ids))
        unknown = [row.id for row in left if row.type not in self._plugins]
        if unknown:
            self._run(claims.postpone(), ids=unknown)
            log.warning("task.type_unknown", task_ids=unknown[:10], count=len(unknown))
        if paused := [row.id for row in left if row.is_paused and row.type in self._plugins]:
            self._run(outbox.recall_messages(), ids=paused)
        CLAIMS_REFUSED.inc(len(ids) - len(left))
        return [row.id for row in left if row.type in self._plugins and not row.is_paused]

    def perform(self, claimed: Claimed) -> Finished:
        """Run the plugin. Never raises: whatever happens is the verdict."""
        started = time.monotonic()
        verdict = self._judge(claimed)
        ended = time.monotonic()
        return Finished(claimed.lease, claimed.type, verdict, started - claimed.claimed_at, ended - started)

    def settle(self, batch: Sequence[Finished]) -> None:
        """Write the ends of attempts, durably. One that cannot be stored ends its own task only.

        Raises:
            Exception: of `is_database_away`; nothing may be known to be written; settle the same batch again.
        """
        try:
            settled = {row.id for row in self._settle(batch)}
        except DBAPIError as exc:
            if is_database_away(exc):
                raise
            self._settle_one_by_one(batch, exc)
            return
        for (type_, outcome), count in Counter((one.type, one.verdict.outcome) for one in batch).items():
            ATTEMPTS.labels(type_, outcome).inc(count)
        for one in batch:
            if one.ran_s is not None:
                RUN_SECONDS.labels(one.type).observe(one.ran_s)
            if one.lease.task_id not in settled:
                RESULTS_REFUSED.inc()
                log.warning("task.result_refused", task_id=one.lease.task_id, attempt=one.lease.attempt)

    def give_back(self, held: Sequence[Claimed]) -> None:
        """Return tasks that will not be finished here to their queue; they lose nothing."""
        if held:
            verdict = outcomes.returned(Reason.WORKER_STOPPED)
            self._settle([Finished(one.lease, one.type, verdict) for one in held])

    def _judge(self, claimed: Claimed) -> Verdict:
        plugin = self._plugins[claimed.type]
        try:
            params = msgspec.convert(claimed.parameters, plugin.params_type())
        except Exception as exc:  # a plugin's parameters may check themselves, and raise anything
            return outcomes.failed(clean_text(str(exc)), Reason.BAD_PARAMETERS)
        try:
            returned = plugin.run(self._context(claimed), params)
        except BaseException as exc:  # a plugin may raise anything, SystemExit too; it is its attempt's failure
            return _failure(plugin, claimed, _describe(exc))
        try:
            return _verdict(plugin, claimed, returned)
        except Exception as exc:  # an outcome made of the wrong things: a task without a verdict would run for ever
            return outcomes.failed(_describe(exc), Reason.BAD_RESULT)

    def _context(self, claimed: Claimed) -> TaskContext:
        lease = claimed.lease
        bound = log.bind(task_id=lease.task_id, task_type=claimed.type, attempt=lease.attempt)
        return TaskContext(lease.task_id, lease.attempt, claimed.failures, self._settings, bound)

    def _settle(self, batch: Sequence[Finished]) -> list[Any]:
        return self._run(settlements.settle(), rows=settlements.rows(batch), by=worker_actor(self.worker_id))

    def _settle_one_by_one(self, batch: Sequence[Finished], cause: DBAPIError) -> None:
        if len(batch) > 1:
            for one in batch:
                self.settle([one])
            return
        (one,) = batch
        log.error("task.result_not_stored", task_id=one.lease.task_id, error=str(cause.orig))
        verdict = outcomes.failed("its result could not be stored", Reason.BAD_RESULT)
        self._settle([Finished(one.lease, one.type, verdict, one.waited_s, one.ran_s)])

    def _run(self, statement: Any, **parameters: Any) -> list[Any]:
        return direct.run(self._engine, statement, parameters)


def _claimed(row: Any, token: UUID) -> Claimed:
    return Claimed(
        lease=Lease(row.id, row.attempt, token),
        name=row.name,
        type=row.type,
        queue=row.queue,
        parameters=row.parameters,
        failures=row.failures,
        max_attempts=row.max_attempts,
        claimed_at=time.monotonic(),
        crashes=row.crashes,
        losses=row.losses,
        timeout_s=row.timeout_s,
        alone=row.alone,
        checkpoint=row.checkpoint,
    )


def _verdict(plugin: Plugin[Any], claimed: Claimed, returned: object) -> Verdict:
    match returned:
        case None:
            return outcomes.succeeded(None)
        case RetryAfter(wait=wait, error=error):
            verdict = _failure(plugin, claimed, clean_text(error))
            return verdict if verdict.wait is None else outcomes.retry_later(clean_text(error), wait)
        case Cancel(error=error):
            return outcomes.cancelled(clean_text(error), Reason.CANCELLED_BY_PLUGIN)
        case Fail(error=error, reason=reason):
            return outcomes.failed(clean_text(error), clean_text(reason))
        case Pause():
            return outcomes.paused()
        case result:
            return _encoded(result)


def _encoded(result: object) -> Verdict:
    try:
        text = _json(clean_document(msgspec.to_builtins(result)))
    except (InvalidDocument, RecursionError, TypeError, ValueError, OverflowError) as exc:
        return outcomes.failed(clean_text(f"its result is not JSON: {exc}"), Reason.BAD_RESULT)
    if len(text) > MAX_TASK_BYTES:
        return outcomes.failed(f"its result has more than {MAX_TASK_BYTES} characters", Reason.BAD_RESULT)
    return outcomes.succeeded(text)


def _failure(plugin: Plugin[Any], claimed: Claimed, error: str) -> Verdict:
    wait = plan_retry(plugin.retry, claimed.max_attempts, claimed.failures + 1, random.uniform(-1, 1))
    return outcomes.failed(error, Reason.ATTEMPTS_EXHAUSTED) if wait is None else outcomes.retry_later(error, wait)


def _describe(exc: BaseException) -> str:
    """The error on the first line, then where it came from."""
    summary = "".join(traceback.format_exception_only(exc)).strip()
    frames = "".join(traceback.format_tb(exc.__traceback__)[1:])
    return clean_text(f"{summary}\n\n{frames}" if frames else summary)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
