"""The fork server: forks task processes, reports their exits, and leaves none behind.

It has a single thread and no connections, and never waits for a task process, so that it can always kill one. When
its executor is gone, for whatever reason, it kills every process group that it started, and exits.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

import msgspec

from taskcore.execution.isolation import forkserver_protocol, task_process
from taskcore.execution.isolation.channel import Channel
from taskcore.execution.isolation.forkserver_protocol import RecordKind
from taskcore.observability.logging import configure_logging
from taskcore.plugins import Plugins
from taskcore.settings import Settings


def main(fd: int) -> NoReturn:
    """Serve the executor at the socket `fd`, which sends the import path first, then what to load."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # only its executor stops it, not a signal to the whole service
    connection = socket.socket(fileno=fd)
    connection.set_inheritable(False)
    setup = Channel(connection)
    sys.path[:] = msgspec.json.decode(setup.receive() or b"[]", type=list[str])
    settings, load = pickle.loads(setup.receive() or b"")
    configure_logging(settings.log)
    server = _ForkServer(connection, load(), settings)
    gc.collect()
    gc.freeze()  # forks share what is loaded, unless the garbage collector writes to it
    server.run()


class _ForkServer:
    """`_numbers` maps process ids, which are group ids too, to the numbers that the executor gave."""

    def __init__(self, connection: socket.socket, plugins: Plugins, settings: Settings) -> None:
        self._connection = connection
        self._plugins = plugins
        self._settings = settings
        self._numbers: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        for fd in (self._woken, self._wake):
            os.set_blocking(fd, False)

    def run(self) -> NoReturn:
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()  # has no descriptor that forks would share, unlike epoll
        poll.register(self._connection, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        try:
            forkserver_protocol.send(self._connection, RecordKind.READY)
            while self._handle_ready({fd for fd, _ in poll.poll()}):
                pass
        finally:
            self._kill_all()
            os._exit(0)

    def _handle_ready(self, ready: set[int]) -> bool:
        """Handle the descriptors that can be read. Return False when the executor is gone."""
        if self._woken in ready:
            with suppress(BlockingIOError):
                os.read(self._woken, 4096)
            self._reap()
        return self._connection.fileno() not in ready or self._read_record()

    def _read_record(self) -> bool:
        try:
            record = forkserver_protocol.receive(self._connection)
        except OSError:
            return False
        match record:
            case None:
                return False
            case RecordKind.START, number, _, [channel, commands]:
                self._start(number, channel, commands)
            case RecordKind.SIGNAL, number, value, _:
                self._signal(number, value)
        return True

    def _start(self, number: int, channel: int, commands: int) -> None:
        try:
            pid = os.fork()
        except OSError as exc:
            forkserver_protocol.send(self._connection, RecordKind.NOT_STARTED, number, exc.errno or 0)
        else:
            if pid == 0:
                self._become_task_process(channel, commands)
            with suppress(OSError):
                os.setpgid(pid, pid)  # the child calls this too, so the group exists whichever comes first
            self._numbers[pid] = number
            forkserver_protocol.send(self._connection, RecordKind.STARTED, number, pid)
        os.close(channel)
        os.close(commands)

    def _become_task_process(self, channel: int, commands: int) -> NoReturn:
        """Run the attempt in the forked child. Never returns or raises."""
        try:
            forkserver = os.getppid()
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._connection.close()
            os.close(self._woken)
            os.close(self._wake)
            task_process.set_parent_death_signal(forkserver)
            task_process.run(socket.socket(fileno=channel), commands, self._plugins, self._settings)
            os._exit(0)
        except BaseException:  # the frames above are the fork server's
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _signal(self, number: int, value: int) -> None:
        for pid in [pid for pid, known in self._numbers.items() if known == number]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, value)

    def _reap(self) -> None:
        """Reap dead task processes. Kill the rest of a group first, while the unreaped leader reserves its id."""
        while self._numbers:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(dead.si_pid, signal.SIGKILL)
            _, status = os.waitpid(dead.si_pid, 0)
            number = self._numbers.pop(dead.si_pid, None)
            if number is not None:
                forkserver_protocol.send(self._connection, RecordKind.EXITED, number, status)

    def _kill_all(self) -> None:
        for pid in self._numbers:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
