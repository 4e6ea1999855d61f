"""One attempt in a process of its own: judged as in a thread, with its services at the other end of a line."""

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
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import Channel
from taskcore.execution.isolation.remote_services import RemoteServices
from taskcore.execution.isolation.rlimits import set_memory_limit
from taskcore.execution.run_plugin import make_context, run_plugin
from taskcore.observability.log_context import attempt_context
from taskcore.observability.tracing.client_spans import NO_TRACER
from taskcore.plugins import Plugins
from taskcore.plugins.cancellation import CancellationToken, InterruptCause
from taskcore.settings import Settings

if TYPE_CHECKING:
    from taskcore.execution.isolation.child_spans import ChildSpanRecorder

PR_SET_PDEATHSIG = 1
WAKE_SIGNAL = signal.SIGUSR1
#: The kernel should rather end a task process than a process with many tasks.
OOM_SCORE_ADJ = b"500"
PAUSE_COMMAND = b"p"
COMMANDS = {cause.value[0]: cause for cause in InterruptCause}
#: Made while there is memory.
OUT_OF_MEMORY = messages.encode(messages.OutOfMemory())


def command(cause: InterruptCause) -> bytes:
    """How the executor writes `cause`."""
    return cause.value[0].encode()


def set_parent_death_signal(parent: int) -> None:
    """Have the kernel end this process when its `parent` dies: for when that has no time left to do it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def run(connection: socket.socket, orders: int, plugins: Plugins, settings: Settings) -> None:
    """Until the verdict is told."""
    channel = Channel(connection)
    claimed, deadline, followed = pickle.loads(channel.receive() or b"")
    following = None if followed is None else _start_span_recorder(followed)
    interruption = CancellationToken(deadline)
    _CommandListener(orders, interruption).start()
    services = RemoteServices(channel)
    try:
        tracer = NO_TRACER if following is None else following.tracer
        end = _run_attempt(claimed, interruption, services, plugins, settings, tracer)
        services.close(*([] if following is None else following.frames()), end)
    except MemoryError:
        services.close(OUT_OF_MEMORY)
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()


def _start_span_recorder(traceparent: str) -> ChildSpanRecorder:
    from taskcore.execution.isolation.child_spans import (
        ChildSpanRecorder,  # its 2.5 MB and 15 ms are for those that are followed
    )

    return ChildSpanRecorder(traceparent)


def _run_attempt(
    claimed: ClaimedTask,
    interruption: CancellationToken,
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
    context = make_context(claimed, interruption, settings, services, tracer)
    with attempt_context(claimed):
        return messages.encode(messages.Ended(run_plugin(plugin, claimed, context, own_process=True)))


class _CommandListener:
    """Obeys the executor's orders, in a thread of its own. They come by a pipe.

    The SIGTERM that goes with an interrupt is for the rest of the group; here it does nothing, whoever sends it: when
    all of a service is told to stop, its tasks are not meant.
    """

    def __init__(self, orders: int, interruption: CancellationToken) -> None:
        self._orders = orders
        self._interruption = interruption
        self._attempt = threading.get_ident()

    def start(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _do_nothing)
        signal.signal(WAKE_SIGNAL, _do_nothing)
        os.register_at_fork(after_in_child=_end_as_others_do)
        threading.Thread(target=self._listen, name="orders", daemon=True).start()

    def _listen(self) -> None:
        while letters := os.read(self._orders, 64):
            for letter in letters.decode():
                self._obey(letter)

    def _obey(self, letter: str) -> None:
        if letter == PAUSE_COMMAND.decode():
            self._interruption.request_pause()
        elif self._interruption.interrupt(COMMANDS[letter]):
            # The exception waits for the attempt's next bytecode: the signal's handler is one, in a system call too.
            signal.pthread_kill(self._attempt, WAKE_SIGNAL)


def _do_nothing(*_: object) -> None:
    pass


def _end_as_others_do() -> None:
    """In what the plugin forks."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
