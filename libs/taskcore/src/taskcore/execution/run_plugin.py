"""Run a plugin and turn whatever it does into the result of its attempt."""

from __future__ import annotations

from typing import Any

import msgspec
from opentelemetry.trace import Tracer

from taskcore.domain import outcomes
from taskcore.domain.documents import clean_text
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult, Cancel, Fail, Pause, Reason, RetryAfter
from taskcore.domain.tasks import MAX_TASK_BYTES, ClaimedTask
from taskcore.errors import InvalidDocument
from taskcore.execution.attempt_failure import failed_attempt
from taskcore.execution.json_cleaning import clean_json
from taskcore.observability.exception_text import ExceptionText, describe_exception, summarize_exception
from taskcore.observability.redaction import Redactor, redactor_of
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins import InterruptCause, Plugin
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.context import AttemptServices, TaskContext
from taskcore.settings import Settings

#: The frames of this module at the beginning of a plugin's traceback.
OWN_FRAMES = 1


def run_plugin(
    plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, *, own_process: bool = False
) -> AttemptResult | None:
    """Run the plugin in this thread. Return `None` when the lease ended, so that there is nothing to settle.

    Raises nothing, except `MemoryError` when the attempt has its `own_process`, which then has no memory left.
    """
    result = _run_armed(plugin, claimed, ctx, own_process)
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
            return failed_attempt(
                plugin.retry,
                claimed.max_attempts,
                claimed.failures + 1,
                error,
                reason=Reason.TIMED_OUT,
                outcome=AttemptOutcome.TIMED_OUT,
            )
        case InterruptCause.SHUTDOWN:
            return outcomes.released(Reason.WORKER_STOPPED)
        case InterruptCause.FENCE:
            return None


def _run_armed(plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, own_process: bool) -> AttemptResult:
    """Do all that may execute foreign code, so that the timeout bounds it.

    The exception of an interrupt may hit `disarm` too, so that it is called once more.
    """
    try:
        try:
            ctx.cancellation.arm()
            return _run(plugin, claimed, ctx, own_process)
        finally:
            ctx.cancellation.disarm()
    except BaseException as exc:  # the interrupt, or what else escaped: without a result the task would run for ever
        ctx.cancellation.disarm()
        _reraise_memory_error(exc, own_process)
        return _failed(plugin, claimed, ExceptionText(_summarize(ctx, exc), is_complete=False))


def _run(plugin: Plugin[Any], claimed: ClaimedTask, ctx: TaskContext, own_process: bool) -> AttemptResult:
    try:
        params = msgspec.convert(claimed.parameters, plugin.params_type())
    except msgspec.ValidationError as exc:
        return outcomes.failed(clean_text(str(exc)), Reason.INVALID_PARAMETERS)
    except BaseException as exc:  # a validator of the plugin's own may raise anything
        _reraise_memory_error(exc, own_process)
        return outcomes.failed(_summarize(ctx, exc), Reason.INVALID_PARAMETERS)
    try:
        returned = plugin.run(ctx, params)
    except BaseException as exc:  # a plugin may raise anything, even SystemExit: its attempt has failed
        _reraise_memory_error(exc, own_process)
        return _failed(plugin, claimed, describe_exception(exc, OWN_FRAMES, _redactor(ctx).redact_text))
    try:
        return _to_result(plugin, claimed, returned, ctx)
    except BaseException as exc:  # an outcome with values of the wrong type, or a result whose encoding raises
        _reraise_memory_error(exc, own_process)
        error = f"what it returned cannot be stored: {_summarize(ctx, exc)}"
        return outcomes.failed(clean_text(error), Reason.INVALID_RESULT)


def _summarize(ctx: TaskContext, exc: BaseException) -> str:
    return summarize_exception(exc, _redactor(ctx).redact_text)


def _reraise_memory_error(exc: BaseException, own_process: bool) -> None:
    if own_process and issubclass(type(exc), MemoryError):  # `isinstance` would ask the exception for its `__class__`
        raise exc


def _redactor(ctx: TaskContext) -> Redactor:
    return redactor_of(ctx.settings.log.redacted_fields)


def _to_result(plugin: Plugin[Any], claimed: ClaimedTask, returned: object, ctx: TaskContext) -> AttemptResult:
    def clean(text: str) -> str:
        return clean_text(_redactor(ctx).redact_text(text))

    match returned:
        case None:
            return outcomes.succeeded(None)
        case RetryAfter(wait=wait, error=error):
            result = _failed(plugin, claimed, ExceptionText(clean(error), is_complete=True))
            return result if result.retry_in is None else outcomes.retry_later(clean(error), wait)
        case Cancel(error=error):
            return outcomes.cancelled(clean(error), Reason.CANCELLED_BY_PLUGIN)
        case Fail(error=error, reason=reason):
            return outcomes.failed(clean(error), clean_text(reason))
        case Pause():
            return outcomes.paused_on_request() if ctx.is_pause_requested else outcomes.paused()
        case value:
            return _encode_result(value, _redactor(ctx) if ctx.settings.log.redact_results else None)


def _encode_result(value: object, redactor: Redactor | None) -> AttemptResult:
    try:
        return outcomes.succeeded(clean_json(value, MAX_TASK_BYTES, redactor))
    except InvalidDocument as exc:
        return outcomes.failed(clean_text(f"its result {exc}"), Reason.INVALID_RESULT)


def _failed(plugin: Plugin[Any], claimed: ClaimedTask, error: ExceptionText) -> AttemptResult:
    result = failed_attempt(plugin.retry, claimed.max_attempts, claimed.failures + 1, error.text)
    return result if error.is_complete else result._replace(is_undescribed=True)
