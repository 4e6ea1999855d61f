"""Running a plugin, and what comes of it: whatever it does, its attempt gets a verdict."""

from __future__ import annotations

import random
import traceback
from typing import Any

import msgspec
from opentelemetry.trace import Tracer

from taskcore.domain import outcomes
from taskcore.domain.documents import clean_document, clean_text
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult, Cancel, Fail, Pause, Reason, RetryAfter
from taskcore.domain.retry import plan_retry
from taskcore.domain.tasks import MAX_TASK_BYTES, ClaimedTask
from taskcore.errors import InvalidDocument
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins import Plugin
from taskcore.plugins.cancellation import CancellationToken, InterruptCause
from taskcore.plugins.context import AttemptServices, TaskContext
from taskcore.settings import Settings


def run_plugin(
    plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, *, own_process: bool = False
) -> AttemptResult | None:
    """Run the plugin in this thread. Never raises: whatever happens is the verdict. None: it is not to be written.

    Only where it `is_alone` in its process, a `MemoryError` is raised: then it is the process that has no memory left.
    """
    try:
        params = msgspec.convert(claimed.parameters, plugin.params_type())
    except Exception as exc:  # a plugin's parameters may check themselves, and raise anything
        return outcomes.failed(clean_text(str(exc)), Reason.INVALID_PARAMETERS)
    verdict = _run(plugin, claimed, ctx, params, own_process)
    cause = ctx.cancellation.cause
    return verdict if cause is None else result_of_interrupt(plugin, claimed, cause)


def make_context(
    claimed: ClaimedTask,
    interruption: CancellationToken,
    settings: Settings,
    services: AttemptServices,
    tracer: Tracer = NO_TRACER,
) -> TaskContext:
    """What the attempt gets to work with, wherever it runs."""
    return TaskContext(
        task_id=claimed.lease.task_id,
        attempt=claimed.lease.attempt,
        failures=claimed.failures,
        settings=settings,
        checkpoint=claimed.checkpoint,
        cancellation=interruption,
        services=services,
        tracer=tracer,
    )


def result_of_interrupt(plugin: Plugin[Any], claimed: ClaimedTask, cause: InterruptCause) -> AttemptResult | None:
    """What being interrupted means, whatever the plugin made of it: too late is too late."""
    match cause:
        case InterruptCause.CANCEL:
            return outcomes.cancelled("cancelled while it ran", Reason.CANCELLED)
        case InterruptCause.TIMEOUT:
            error = f"took longer than its timeout of {claimed.timeout_s or 0:g} s"
            return _failed_attempt(plugin, claimed, error, Reason.TIMED_OUT, AttemptOutcome.TIMED_OUT)
        case InterruptCause.SHUTDOWN:
            return outcomes.released(Reason.WORKER_STOPPED)
        case InterruptCause.FENCE:
            return None


def _run(plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, params: Any, is_alone: bool) -> AttemptResult:
    """The exception that interrupts can hit behind the plugin too: then the signal is closed a second time."""
    try:
        try:
            ctx.cancellation.arm()
            returned = plugin.run(ctx, params)
        finally:
            ctx.cancellation.disarm()
    except BaseException as exc:  # a plugin may raise anything, SystemExit too; it is its attempt's failure
        ctx.cancellation.disarm()
        if is_alone and isinstance(exc, MemoryError):
            raise
        return _failed_attempt(plugin, claimed, _format_exception(exc))
    try:
        return _to_result(plugin, claimed, returned, ctx.is_pause_requested)
    except Exception as exc:  # an outcome made of the wrong things: a task without a verdict would run for ever
        if is_alone and isinstance(exc, MemoryError):
            raise
        return outcomes.failed(_format_exception(exc), Reason.INVALID_RESULT)


def _to_result(plugin: Plugin[Any], claimed: ClaimedTask, returned: object, is_pause_requested: bool) -> AttemptResult:
    match returned:
        case None:
            return outcomes.succeeded(None)
        case RetryAfter(wait=wait, error=error):
            verdict = _failed_attempt(plugin, claimed, clean_text(error))
            return verdict if verdict.retry_in is None else outcomes.retry_later(clean_text(error), wait)
        case Cancel(error=error):
            return outcomes.cancelled(clean_text(error), Reason.CANCELLED_BY_PLUGIN)
        case Fail(error=error, reason=reason):
            return outcomes.failed(clean_text(error), clean_text(reason))
        case Pause():
            return outcomes.paused_on_request() if is_pause_requested else outcomes.paused()
        case result:
            return _encode_result(result)


def _encode_result(result: object) -> AttemptResult:
    try:
        text = _json(clean_document(msgspec.to_builtins(result)))
    except (InvalidDocument, RecursionError, TypeError, ValueError, OverflowError) as exc:
        return outcomes.failed(clean_text(f"its result is not JSON: {exc}"), Reason.INVALID_RESULT)
    if len(text) > MAX_TASK_BYTES:
        return outcomes.failed(f"its result has more than {MAX_TASK_BYTES} characters", Reason.INVALID_RESULT)
    return outcomes.succeeded(text)


def _failed_attempt(
    plugin: Plugin[Any],
    claimed: ClaimedTask,
    error: str,
    reason: Reason = Reason.ATTEMPTS_EXHAUSTED,
    outcome: AttemptOutcome = AttemptOutcome.FAILED,
) -> AttemptResult:
    """Tried again by the policy; `reason` where no attempt is left."""
    wait = plan_retry(plugin.retry, claimed.max_attempts, claimed.failures + 1, random.uniform(-1, 1))
    if wait is None:
        return outcomes.failed(error, reason, outcome)
    return outcomes.retry_later(error, wait, outcome)


def _format_exception(exc: BaseException) -> str:
    """The error on the first line, then where it came from."""
    summary = "".join(traceback.format_exception_only(exc)).strip()
    frames = "".join(traceback.format_tb(exc.__traceback__)[1:])
    return clean_text(f"{summary}\n\n{frames}" if frames else summary)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
