"""The nursery: forks task processes, tells how they end, and leaves none behind.

It has one thread, no connections, and never waits for anybody, so that it is always there to kill. When its
executor is gone, however that happened, it kills every process group that it started, and ends.
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
    """`fd` is the executor's line. On it come first the import path and then what to load."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # it ends with its executor, not by what hits the whole service
    line = socket.socket(fileno=fd)
    line.set_inheritable(False)
    setup = Channel(line)
    sys.path[:] = msgspec.json.decode(setup.receive() or b"[]", type=list[str])
    settings, load = pickle.loads(setup.receive() or b"")
    configure_logging(settings.log)
    nursery = _ForkServer(line, load(), settings)
    gc.collect()
    gc.freeze()  # what is loaded is shared with the forks; the collector would copy it
    nursery.run()


class _ForkServer:
    """`_numbers` are those of the executor, by process id, which is the group's id too."""

    def __init__(self, line: socket.socket, plugins: Plugins, settings: Settings) -> None:
        self._line = line
        self._plugins = plugins
        self._settings = settings
        self._numbers: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        for fd in (self._woken, self._wake):
            os.set_blocking(fd, False)

    def run(self) -> NoReturn:
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()  # unlike an epoll object it has nothing that a fork would share
        poll.register(self._line, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        try:
            forkserver_protocol.send(self._line, RecordKind.READY)
            while self._handle_ready({fd for fd, _ in poll.poll()}):
                pass
        finally:
            self._kill_all()
            os._exit(0)

    def _handle_ready(self, ready: set[int]) -> bool:
        """Do what there is to do. False: the executor is gone."""
        if self._woken in ready:
            with suppress(BlockingIOError):
                os.read(self._woken, 4096)
            self._reap()
        return self._line.fileno() not in ready or self._read_record()

    def _read_record(self) -> bool:
        try:
            record = forkserver_protocol.receive(self._line)
        except OSError:
            return False
        match record:
            case None:
                return False
            case RecordKind.START, number, _, [channel, orders]:
                self._start(number, channel, orders)
            case RecordKind.SIGNAL, number, value, _:
                self._signal(number, value)
        return True

    def _start(self, number: int, channel: int, orders: int) -> None:
        try:
            pid = os.fork()
        except OSError as exc:
            forkserver_protocol.send(self._line, RecordKind.NOT_STARTED, number, exc.errno or 0)
        else:
            if pid == 0:
                self._become_task(channel, orders)
            with suppress(OSError):
                os.setpgid(pid, pid)  # the child does so too: whoever is first, it is so from here on
            self._numbers[pid] = number
            forkserver_protocol.send(self._line, RecordKind.STARTED, number, pid)
        os.close(channel)
        os.close(orders)

    def _become_task(self, channel: int, orders: int) -> NoReturn:
        """In the child: never returns, whatever happens."""
        try:
            nursery = os.getppid()
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._line.close()
            os.close(self._woken)
            os.close(self._wake)
            task_process.set_parent_death_signal(nursery)
            task_process.run(socket.socket(fileno=channel), orders, self._plugins, self._settings)
            os._exit(0)
        except BaseException:  # nothing above this frame is the child's
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)

    def _signal(self, number: int, value: int) -> None:
        for pid in [pid for pid, known in self._numbers.items() if known == number]:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, value)

    def _reap(self) -> None:
        """Kill what is left of a group while its dead leader still holds the number, which others may have next."""
        while self._numbers:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if dead is None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(dead.si_pid, signal.SIGKILL)
            _, status = os.waitpid(dead.si_pid, 0)
            number = self._numbers.pop(dead.si_pid, None)
            if number is not None:
                forkserver_protocol.send(self._line, RecordKind.EXITED, number, status)

    def _kill_all(self) -> None:
        for pid in self._numbers:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
