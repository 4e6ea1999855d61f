"""An executor's thread hosts an attempt in a process of its own: serves what it asks for, and sees it to its end."""

from __future__ import annotations

import os
import pickle
import signal
from contextlib import suppress
from typing import Any

import msgspec
import structlog

from taskcore.domain import outcomes
from taskcore.domain.documents import clean_text
from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.tasks import ClaimedTask
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import FrameTooLarge
from taskcore.execution.isolation.forkserver import ForkServer, ForkServerDied, TaskProcess
from taskcore.execution.isolation.remote_services import Reply
from taskcore.execution.isolation.task_process import command
from taskcore.execution.run_plugin import result_of_interrupt
from taskcore.execution.running_attempts import RunningAttempt
from taskcore.observability.tracing.propagation import current_traceparent, use_remote_parent
from taskcore.plugins import Plugin
from taskcore.plugins.cancellation import InterruptCause
from taskcore.plugins.context import AttemptServices

#: What a process that has told its verdict gets to exit.
EXIT_GRACE_S = 5.0

log = structlog.stdlib.get_logger(__name__)


def run_in_process(
    nursery: ForkServer, attempt: RunningAttempt, plugin: Plugin[Any], services: AttemptServices, kill_after_s: float
) -> AttemptResult | None:
    """Run the attempt in a process of its own, and have nothing of that left. None: nothing is to be written."""
    claimed = attempt.claimed
    try:
        process = nursery.start_process()
    except (ForkServerDied, OSError) as exc:
        log.error("task_process.not_started", task_id=claimed.lease.task_id, error=str(exc))
        return outcomes.could_not_start(claimed.worker_losses, f"no process could be had for it: {exc}")
    try:
        _send_task(process, attempt)
        with attempt.cancellation.on_interrupt(lambda: _stop(process, attempt, kill_after_s)):
            attempt.cancellation.on_pause_requested(process.request_pause)
            end = _serve(process, attempt, services)
            _wait_for_exit(process, has_told=end is not None)
    finally:
        process.close()
    cause = attempt.cancellation.disarm()
    return _verdict(end, process, claimed) if cause is None else result_of_interrupt(plugin, claimed, cause)


def _stop(process: TaskProcess, attempt: RunningAttempt, kill_after_s: float) -> None:
    """Ask the group to end, and make it. Where the lease is over, somebody else may run the task already."""
    cause = attempt.cancellation.cause or InterruptCause.CANCEL
    if cause is not InterruptCause.FENCE:
        process.send_command(command(cause))
        process.send_signal(signal.SIGTERM)
        process.ended.wait(kill_after_s)
    if not process.ended.is_set():
        process.send_signal(signal.SIGKILL)


def _send_task(process: TaskProcess, attempt: RunningAttempt) -> None:
    claimed = attempt.claimed._replace(trace=None)
    with suppress(OSError):  # it is gone already: its exit says why
        process.channel.send(pickle.dumps((claimed, attempt.cancellation.deadline, current_traceparent())))


def _serve(process: TaskProcess, attempt: RunningAttempt, services: AttemptServices) -> messages.End | None:
    """Do what it asks for, until it tells its end. None: it ended without a word."""
    claimed = attempt.claimed
    try:
        return _message_loop(process, claimed, services)
    except OSError:  # it is gone: its exit says why
        return None
    except (FrameTooLarge, msgspec.MsgspecError) as exc:
        verdict = outcomes.crashed(clean_text(f"its process spoke nonsense: {exc}"), claimed.crashes)
    except Exception:  # a fault of this side: whatever it is, the attempt must get its end
        log.exception("task_process.host_failed", task_id=claimed.lease.task_id)
        verdict = outcomes.worker_lost(claimed.worker_losses)
    process.send_signal(signal.SIGKILL)
    return messages.Ended(verdict)


def _message_loop(process: TaskProcess, claimed: ClaimedTask, services: AttemptServices) -> messages.End | None:
    while (frame := process.channel.receive()) is not None:
        message = messages.decode(frame)
        if isinstance(message, messages.End):
            return message
        if isinstance(message, messages.Notice):
            _handle_notice(message, claimed, services)
        else:
            process.channel.send(_answer(message, services))
    return None


def _handle_notice(notice: messages.Notice, claimed: ClaimedTask, services: AttemptServices) -> None:
    try:
        match notice:
            case messages.Logged(level=level, message=message, fields=fields):
                services.log(level, message, fields)
            case messages.Progressed(value=value):
                services.progress(value)
            case messages.SpansRecorded(spans=spans, dropped=dropped):
                if claimed.trace is not None:
                    claimed.trace.add_child_spans(bytes(spans), dropped)
    except Exception:  # nobody waits for an answer; a line that is lost must not end the attempt
        log.exception("attempt.service_failed")


def _answer(request: messages.Request, services: AttemptServices) -> bytes:
    """What was asked for, or the error that the attempt gets."""
    answer: Reply
    try:
        answer = _handle_request(request, services), None
    except Exception as exc:  # the attempt decides what it means
        answer = None, (type(exc).__name__, f"{type(exc).__name__}: {exc}")
    return pickle.dumps(answer)


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


def _wait_for_exit(process: TaskProcess, *, has_told: bool) -> None:
    """Until it has ended, with its whole group. One that still works, but cannot tell, has its timeout as any other."""
    if not process.ended.wait(EXIT_GRACE_S if has_told else None):
        process.send_signal(signal.SIGKILL)
        process.ended.wait()


def _verdict(end: messages.End | None, process: TaskProcess, claimed: ClaimedTask) -> AttemptResult | None:
    match end:
        case messages.Ended(verdict=verdict):
            return verdict
        case messages.OutOfMemory():
            return outcomes.crashed("its process ran out of memory", claimed.crashes)
    if process.status is None:
        return outcomes.worker_lost(claimed.worker_losses)
    return outcomes.crashed(describe_exit(process.status), claimed.crashes)


def describe_exit(status: int) -> str:
    """What a wait status says of a process that told no result."""
    if not os.WIFSIGNALED(status):
        return f"its process exited with status {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number in signal.valid_signals() else "unknown"
    hint = ", as the kernel does when memory is short" if number == signal.SIGKILL else ""
    return f"its process was ended by signal {number} ({name}){hint}"
