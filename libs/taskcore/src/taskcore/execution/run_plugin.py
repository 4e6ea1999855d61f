"""Run a plugin and turn whatever it does into the result of its attempt."""

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
from taskcore.plugins import InterruptCause, Plugin
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.context import AttemptServices, TaskContext
from taskcore.settings import Settings


def run_plugin(
    plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, *, own_process: bool = False
) -> AttemptResult | None:
    """Run the plugin in this thread. Return `None` when the lease ended, so that there is nothing to settle.

    Raises nothing, except `MemoryError` when the attempt has its `own_process`, which then has no memory left.
    """
    try:
        params = msgspec.convert(claimed.parameters, plugin.params_type())
    except Exception as exc:  # a validator of the plugin's own may raise anything
        return outcomes.failed(clean_text(str(exc)), Reason.INVALID_PARAMETERS)
    result = _run(plugin, claimed, ctx, params, own_process)
    cause = ctx.cancellation.cause
    return result if cause is None else result_of_interrupt(plugin, claimed, cause)


def make_context(
    claimed: ClaimedTask,
    cancellation: CancellationToken,
    settings: Settings,
    services: AttemptServices,
    tracer: Tracer = NO_TRACER,
) -> TaskContext:
    """Return what the plugin gets to work with, in a thread or in a process of its own."""
    return TaskContext(
        task_id=claimed.lease.task_id,
        attempt=claimed.lease.attempt,
        failures=claimed.failures,
        settings=settings,
        checkpoint=claimed.checkpoint,
        cancellation=cancellation,
        services=services,
        tracer=tracer,
    )


def result_of_interrupt(plugin: Plugin[Any], claimed: ClaimedTask, cause: InterruptCause) -> AttemptResult | None:
    """Return the result of an interrupted attempt, whatever its plugin returned or raised after the interrupt."""
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


def _run(plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, params: Any, own_process: bool) -> AttemptResult:
    """Call the plugin. The exception of an interrupt may hit `disarm` too, so that it is called once more."""
    try:
        try:
            ctx.cancellation.arm()
            returned = plugin.run(ctx, params)
        finally:
            ctx.cancellation.disarm()
    except BaseException as exc:  # a plugin may raise anything, even SystemExit: its attempt has failed
        ctx.cancellation.disarm()
        if own_process and isinstance(exc, MemoryError):
            raise
        return _failed_attempt(plugin, claimed, _format_exception(exc))
    try:
        return _to_result(plugin, claimed, returned, ctx.is_pause_requested)
    except Exception as exc:  # an outcome with values of the wrong type; without a result the task would run for ever
        if own_process and isinstance(exc, MemoryError):
            raise
        return outcomes.failed(_format_exception(exc), Reason.INVALID_RESULT)


def _to_result(plugin: Plugin[Any], claimed: ClaimedTask, returned: object, is_pause_requested: bool) -> AttemptResult:
    match returned:
        case None:
            return outcomes.succeeded(None)
        case RetryAfter(wait=wait, error=error):
            result = _failed_attempt(plugin, claimed, clean_text(error))
            return result if result.retry_in is None else outcomes.retry_later(clean_text(error), wait)
        case Cancel(error=error):
            return outcomes.cancelled(clean_text(error), Reason.CANCELLED_BY_PLUGIN)
        case Fail(error=error, reason=reason):
            return outcomes.failed(clean_text(error), clean_text(reason))
        case Pause():
            return outcomes.paused_on_request() if is_pause_requested else outcomes.paused()
        case value:
            return _encode_result(value)


def _encode_result(value: object) -> AttemptResult:
    try:
        text = msgspec.json.encode(clean_document(msgspec.to_builtins(value))).decode()
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
    """Return a retry by the plugin's policy, or a failure for `reason` when no attempt is left."""
    wait = plan_retry(plugin.retry, claimed.max_attempts, claimed.failures + 1, random.uniform(-1, 1))
    if wait is None:
        return outcomes.failed(error, reason, outcome)
    return outcomes.retry_later(error, wait, outcome)


def _format_exception(exc: BaseException) -> str:
    """Return the error in the first line, then the traceback without our own frame."""
    summary = "".join(traceback.format_exception_only(exc)).strip()
    frames = "".join(traceback.format_tb(exc.__traceback__)[1:])
    return clean_text(f"{summary}\n\n{frames}" if frames else summary)
