"""A thread of the executor hosts an attempt in a process of its own: it serves its requests and waits for its end."""

from __future__ import annotations

import os
import pickle
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from taskcore.domain import outcomes
from taskcore.domain.documents import clean_text
from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.tasks import ClaimedTask
from taskcore.execution.exit_status import describe_exit
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import FrameTooLarge
from taskcore.execution.isolation.forkserver import ForkServer, ForkServerDied, TaskProcess
from taskcore.execution.isolation.remote_services import Reply
from taskcore.execution.isolation.task_process import command
from taskcore.execution.run_plugin import result_of_interrupt
from taskcore.execution.running_attempts import RunningAttempt
from taskcore.observability.tracing.propagation import current_traceparent, use_remote_parent
from taskcore.plugins import InterruptCause, Plugin
from taskcore.plugins.context import AttemptServices

#: How long a process may take to exit after it has sent its result.
EXIT_GRACE_S = 5.0

#: Takes encoded spans, and how many more were dropped. Raises `ValueError` when they are malformed.
AddSpans = Callable[[bytes, int], None]

log = structlog.stdlib.get_logger(__name__)


def run_in_process(
    forkserver: ForkServer,
    attempt: RunningAttempt,
    plugin: Plugin[Any],
    services: AttemptServices,
    *,
    kill_after_s: float,
    add_spans: AddSpans,
) -> AttemptResult | None:
    """Run the attempt in a process of its own. When this returns, nothing of the process group is left.

    An interrupted process that has not exited `kill_after_s` later is killed. Returns `None` when the lease ended.
    """
    claimed = attempt.claimed
    try:
        process = forkserver.start_process()
    except (ForkServerDied, OSError) as exc:
        log.error("task_process.not_started", task_id=claimed.lease.task_id, error=str(exc))
        return outcomes.could_not_start(claimed.worker_losses, f"its process could not be started: {exc}")
    try:
        _send_task(process, attempt)
        with attempt.cancellation.on_interrupt(lambda: _stop(process, attempt, kill_after_s)):
            attempt.cancellation.on_pause_requested(process.request_pause)
            end = _serve(process, claimed, services, add_spans)
            _wait_for_exit(process, has_ended=end is not None)
    finally:
        process.close()
    cause = attempt.cancellation.disarm()
    return _to_result(end, process, claimed) if cause is None else result_of_interrupt(plugin, claimed, cause)


def _stop(process: TaskProcess, attempt: RunningAttempt, kill_after_s: float) -> None:
    """Ask the process group to end, then kill it. After a fence kill at once: another worker may run the task."""
    cause = attempt.cancellation.cause or InterruptCause.CANCEL
    if cause is not InterruptCause.FENCE:
        process.send_command(command(cause))
        process.send_signal(signal.SIGTERM)
        process.ended.wait(kill_after_s)
    if not process.ended.is_set():
        process.send_signal(signal.SIGKILL)


def _send_task(process: TaskProcess, attempt: RunningAttempt) -> None:
    task = (attempt.claimed, attempt.cancellation.deadline, current_traceparent())
    with suppress(OSError):  # the process has exited already, and its exit status says why
        process.channel.send(pickle.dumps(task))


def _serve(
    process: TaskProcess, claimed: ClaimedTask, services: AttemptServices, add_spans: AddSpans
) -> messages.End | None:
    """Serve requests until the process sends its end. Return `None` when it exits without one."""
    try:
        return _message_loop(process, services, add_spans)
    except OSError:  # the process has exited, and its exit status says why
        return None
    except (FrameTooLarge, msgspec.MsgspecError) as exc:
        result = outcomes.crashed(clean_text(f"its process sent an invalid message: {exc}"), claimed.crashes)
    except Exception:  # a bug on this side: the attempt must get a result all the same
        log.exception("task_process.host_failed", task_id=claimed.lease.task_id)
        result = outcomes.worker_lost(claimed.worker_losses)
    process.send_signal(signal.SIGKILL)
    return messages.Ended(result)


def _message_loop(process: TaskProcess, services: AttemptServices, add_spans: AddSpans) -> messages.End | None:
    while (frame := process.channel.receive()) is not None:
        message = messages.decode(frame)
        if isinstance(message, messages.End):
            return message
        if isinstance(message, messages.Notice):
            _handle_notice(message, services, add_spans)
        else:
            process.channel.send(_reply(message, services))
    return None


def _handle_notice(notice: messages.Notice, services: AttemptServices, add_spans: AddSpans) -> None:
    try:
        match notice:
            case messages.Logged(level=level, message=message, fields=fields):
                services.log(level, message, fields)
            case messages.Progressed(value=value):
                services.progress(value)
            case messages.SpansRecorded(spans=spans, dropped=dropped):
                add_spans(bytes(spans), dropped)
    except Exception:  # the process does not wait for a reply, and a lost line must not end its attempt
        log.exception("attempt.service_failed")


def _reply(request: messages.Request, services: AttemptServices) -> bytes:
    """Return the frame with the value asked for, or with the error to raise in the attempt."""
    reply: Reply
    try:
        reply = _handle_request(request, services), None
    except Exception as exc:  # for the plugin to handle
        reply = None, (type(exc).__name__, f"{type(exc).__name__}: {exc}")
    return pickle.dumps(reply)


def _handle_request(request: messages.Request, services: AttemptServices) -> Any:
    match request:
        case messages.SaveCheckpoint(value=value):
            services.save_checkpoint(value)
            return None
        case messages.Submit(task=task, context=context):
            with use_remote_parent(context):
                return services.submit(task)
        case messages.Get(task_id=task_id):
            return services.get(task_id)


def _wait_for_exit(process: TaskProcess, *, has_ended: bool) -> None:
    """Wait until the whole process group is gone.

    A process that has closed its channel without an end may still work, so only its timeout bounds it.
    """
    if not process.ended.wait(EXIT_GRACE_S if has_ended else None):
        process.send_signal(signal.SIGKILL)
        process.ended.wait()


def _to_result(end: messages.End | None, process: TaskProcess, claimed: ClaimedTask) -> AttemptResult | None:
    match end:
        case messages.Ended(result=result):
            return result
        case messages.OutOfMemory():
            return outcomes.crashed("its process ran out of memory", claimed.crashes)
    if process.status is None:
        return outcomes.worker_lost(claimed.worker_losses)
    exit_code = os.waitstatus_to_exitcode(process.status)
    return outcomes.crashed(f"its process {describe_exit(exit_code)}", claimed.crashes)
