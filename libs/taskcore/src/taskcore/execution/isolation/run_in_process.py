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
from taskcore.domain.outcomes import Verdict
from taskcore.domain.tasks import Claimed
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import FrameTooLarge
from taskcore.execution.isolation.forkserver import Nursery, NurseryLost, TaskProcess
from taskcore.execution.isolation.remote_services import Answer
from taskcore.execution.isolation.task_process import order
from taskcore.execution.run_plugin import interrupted
from taskcore.execution.running_attempts import Attempt
from taskcore.observability.tracing.propagation import current_traceparent, going_on
from taskcore.plugins import Plugin
from taskcore.plugins.cancellation import Cause
from taskcore.plugins.context import TaskServices

#: What a process that has told its verdict gets to exit.
EXIT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


def host(
    nursery: Nursery, attempt: Attempt, plugin: Plugin[Any], services: TaskServices, kill_after_s: float
) -> Verdict | None:
    """Run the attempt in a process of its own, and have nothing of that left. None: nothing is to be written."""
    claimed = attempt.claimed
    try:
        process = nursery.task_process()
    except (NurseryLost, OSError) as exc:
        log.error("task_process.not_started", task_id=claimed.lease.task_id, error=str(exc))
        return outcomes.not_started(claimed.losses, f"no process could be had for it: {exc}")
    try:
        _hand_over(process, attempt)
        with attempt.interruption.on_interrupt(lambda: _stop(process, attempt, kill_after_s)):
            attempt.interruption.forward_pause(process.pause)
            end = _serve(process, attempt, services)
            _see_out(process, has_told=end is not None)
    finally:
        process.close()
    cause = attempt.interruption.close()
    return _verdict(end, process, claimed) if cause is None else interrupted(plugin, claimed, cause)


def _stop(process: TaskProcess, attempt: Attempt, kill_after_s: float) -> None:
    """Ask the group to end, and make it. Where the lease is over, somebody else may run the task already."""
    cause = attempt.interruption.cause or Cause.CANCEL
    if cause is not Cause.FENCE:
        process.order(order(cause))
        process.signal(signal.SIGTERM)
        process.ended.wait(kill_after_s)
    if not process.ended.is_set():
        process.signal(signal.SIGKILL)


def _hand_over(process: TaskProcess, attempt: Attempt) -> None:
    claimed = attempt.claimed._replace(trace=None)
    with suppress(OSError):  # it is gone already: its exit says why
        process.channel.send(pickle.dumps((claimed, attempt.interruption.deadline, current_traceparent())))


def _serve(process: TaskProcess, attempt: Attempt, services: TaskServices) -> messages.End | None:
    """Do what it asks for, until it tells its end. None: it ended without a word."""
    claimed = attempt.claimed
    try:
        return _converse(process, claimed, services)
    except OSError:  # it is gone: its exit says why
        return None
    except (FrameTooLarge, msgspec.MsgspecError) as exc:
        verdict = outcomes.crashed(clean_text(f"its process spoke nonsense: {exc}"), claimed.crashes)
    except Exception:  # a fault of this side: whatever it is, the attempt must get its end
        log.exception("task_process.abandoned", task_id=claimed.lease.task_id)
        verdict = outcomes.lost(claimed.losses)
    process.signal(signal.SIGKILL)
    return messages.Ended(verdict)


def _converse(process: TaskProcess, claimed: Claimed, services: TaskServices) -> messages.End | None:
    while (frame := process.channel.receive()) is not None:
        message = messages.decode(frame)
        if isinstance(message, messages.End):
            return message
        if isinstance(message, messages.Notice):
            _note(message, claimed, services)
        else:
            process.channel.send(_answer(message, services))
    return None


def _note(notice: messages.Notice, claimed: Claimed, services: TaskServices) -> None:
    try:
        match notice:
            case messages.Logged(level=level, message=message, fields=fields):
                services.log(level, message, fields)
            case messages.Progressed(value=value):
                services.progress(value)
            case messages.Followed(spans=spans, dropped=dropped):
                if claimed.trace is not None:
                    claimed.trace.take(bytes(spans), dropped)
    except Exception:  # nobody waits for an answer; a line that is lost must not end the attempt
        log.exception("service.failed")


def _answer(request: messages.Request, services: TaskServices) -> bytes:
    """What was asked for, or the error that the attempt gets."""
    answer: Answer
    try:
        answer = _do(request, services), None
    except Exception as exc:  # the attempt decides what it means
        answer = None, (type(exc).__name__, f"{type(exc).__name__}: {exc}")
    return pickle.dumps(answer)


def _do(request: messages.Request, services: TaskServices) -> Any:
    match request:
        case messages.SaveCheckpoint(value=value):
            services.save_checkpoint(value)
            return None
        case messages.Submit(task=task, context=context):
            with going_on(context):
                return services.submit(task)
        case messages.Get(task_id=task_id):
            return services.get(task_id)


def _see_out(process: TaskProcess, *, has_told: bool) -> None:
    """Until it has ended, with its whole group. One that still works, but cannot tell, has its timeout as any other."""
    if not process.ended.wait(EXIT_S if has_told else None):
        process.signal(signal.SIGKILL)
        process.ended.wait()


def _verdict(end: messages.End | None, process: TaskProcess, claimed: Claimed) -> Verdict | None:
    match end:
        case messages.Ended(verdict=verdict):
            return verdict
        case messages.OutOfMemory():
            return outcomes.crashed("its process ran out of memory", claimed.crashes)
    if process.status is None:
        return outcomes.lost(claimed.losses)
    return outcomes.crashed(describe_end(process.status), claimed.crashes)


def describe_end(status: int) -> str:
    """What a wait status says of a process that told no result."""
    if not os.WIFSIGNALED(status):
        return f"its process exited with status {os.WEXITSTATUS(status)}"
    number = os.WTERMSIG(status)
    name = signal.Signals(number).name if number in signal.valid_signals() else "unknown"
    hint = ", as the kernel does when memory is short" if number == signal.SIGKILL else ""
    return f"its process was ended by signal {number} ({name}){hint}"
