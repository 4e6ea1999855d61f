"""A task process: runs one attempt as a thread would, with services at the other end of its channel."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from opentelemetry.trace import Tracer

from taskcore.domain.tasks import ClaimedTask
from taskcore.execution.child_signals import do_nothing, reset_signals_in_forks
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import Channel
from taskcore.execution.isolation.container_memory import container_limit, task_limit
from taskcore.execution.isolation.remote_services import RemoteServices
from taskcore.execution.isolation.rlimits import set_data_limit, set_memory_limit
from taskcore.execution.run_plugin import make_context, run_plugin
from taskcore.observability.log_context import LogContext
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins import InterruptCause, Plugins
from taskcore.plugins.cancellation import CancellationToken
from taskcore.settings import Settings

if TYPE_CHECKING:
    from taskcore.execution.isolation.child_spans import ChildSpanRecorder

PR_SET_PDEATHSIG = 1
WAKE_SIGNAL = signal.SIGUSR1
#: When memory is short, the kernel should kill a task process rather than an executor with many tasks.
OOM_SCORE_ADJ = b"500"
PAUSE_COMMAND = b"p"
COMMANDS = {cause.value[0]: cause for cause in InterruptCause}
#: Encoded while there is still memory.
OUT_OF_MEMORY = messages.encode(messages.OutOfMemory())


def command(cause: InterruptCause) -> bytes:
    """Return the command that interrupts the attempt for `cause`."""
    return cause.value[0].encode()


def set_parent_death_signal(parent: int) -> None:
    """Have the kernel kill this process when its parent dies. `parent` is the expected parent's process id."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the call
        os._exit(1)


def run(connection: socket.socket, commands: int, plugins: Plugins, settings: Settings) -> None:
    """Receive the task, run it, and send its end. `commands` is the reading end of the command pipe."""
    channel = Channel(connection)
    claimed, deadline, traceparent = pickle.loads(channel.receive() or b"")
    recorder = None if traceparent is None else _start_span_recorder(traceparent)
    cancellation = CancellationToken(deadline)
    _CommandListener(commands, cancellation).start()
    services = RemoteServices(channel)
    try:
        tracer = NO_TRACER if recorder is None else recorder.tracer
        end = _run_attempt(claimed, cancellation, services, plugins, settings, tracer)
        services.close(*([] if recorder is None else recorder.frames()), end)
    except MemoryError:
        services.close(OUT_OF_MEMORY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _start_span_recorder(traceparent: str) -> ChildSpanRecorder:
    # Only traced attempts pay for this import: 2.5 MB and 15 ms.
    from taskcore.execution.isolation.child_spans import ChildSpanRecorder

    return ChildSpanRecorder(traceparent)


def _run_attempt(
    claimed: ClaimedTask,
    cancellation: CancellationToken,
    services: RemoteServices,
    plugins: Plugins,
    settings: Settings,
    tracer: Tracer,
) -> bytes:
    plugin = plugins[claimed.type]
    with suppress(OSError), open("/proc/self/oom_score_adj", "wb") as file:
        file.write(OOM_SCORE_ADJ)
    if plugin.memory_limit_bytes is not None:
        set_memory_limit(plugin.memory_limit_bytes)
    elif (limit := task_limit(settings.worker, container_limit())) is not None:
        set_data_limit(limit)
    LogContext().started(claimed)
    context = make_context(claimed, cancellation, settings, services, tracer)
    return messages.encode(messages.Ended(run_plugin(plugin, claimed, context, own_process=True)))


class _CommandListener:
    """Read the executor's commands from a pipe, in a thread of its own.

    The SIGTERM that comes with an interrupt is for the rest of the process group. Here it does nothing: when an
    operator sends it to all processes of the service, running tasks are not meant to stop.
    """

    def __init__(self, commands: int, cancellation: CancellationToken) -> None:
        self._commands = commands
        self._cancellation = cancellation
        self._attempt_thread = threading.get_ident()

    def start(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, do_nothing)
        signal.signal(WAKE_SIGNAL, do_nothing)
        reset_signals_in_forks()
        threading.Thread(target=self._listen, name="commands", daemon=True).start()

    def _listen(self) -> None:
        while letters := os.read(self._commands, 64):
            for letter in letters.decode():
                self._handle(letter)

    def _handle(self, letter: str) -> None:
        if letter == PAUSE_COMMAND.decode():
            self._cancellation.request_pause()
        elif self._cancellation.interrupt(COMMANDS[letter]):
            # The exception is raised at the thread's next bytecode. A signal handler is one, even in a system call.
            signal.pthread_kill(self._attempt_thread, WAKE_SIGNAL)
