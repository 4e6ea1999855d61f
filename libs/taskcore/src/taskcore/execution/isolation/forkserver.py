"""The executor's side of its fork server: starts it when it is first needed, and again after it died."""

from __future__ import annotations

import itertools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec
import structlog

from taskcore.errors import TaskcoreError
from taskcore.execution.isolation import forkserver_protocol
from taskcore.execution.isolation.channel import Channel
from taskcore.execution.isolation.forkserver_protocol import RecordKind
from taskcore.execution.isolation.task_process import PAUSE_COMMAND
from taskcore.plugins import Plugins, load_plugins
from taskcore.settings import Settings

#: Not `multiprocessing`, which would import the service's main module again.
PROGRAM = "import sys; from taskcore.execution.isolation.forkserver_main import main; main(int(sys.argv[1]))"
#: Every process that writes metrics leaves a file behind, so task processes must not write any.
ENV_NOT_INHERITED = {"PROMETHEUS_MULTIPROC_DIR"}
READY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class ForkServerDied(TaskcoreError):
    """The fork server is not running."""


class TaskProcess:
    """One task process. `ended` is set at its exit. `status` is its wait status, or `None` when that is unknown."""

    def __init__(self, server: _ForkServerProcess, number: int) -> None:
        self._server = server
        self._number = number
        ours, self._theirs = socket.socketpair()
        self._read_commands, self._commands = os.pipe()
        self._command_lock = threading.Lock()
        self._is_closed = False
        self.channel = Channel(ours)
        self.ended = threading.Event()
        self.pid: int | None = None
        self.status: int | None = None

    def start(self) -> None:
        self._server.send(RecordKind.START, self._number, fds=(self._theirs.fileno(), self._read_commands))
        self._theirs.close()
        os.close(self._read_commands)

    def send_command(self, letter: bytes) -> None:
        """Send a command. Does nothing when the process has exited."""
        with self._command_lock, suppress(OSError):
            if not self._is_closed:  # the descriptor may be in use for something else by now
                os.write(self._commands, letter)

    def send_signal(self, number: int) -> None:
        """Send a signal to the whole process group."""
        self._server.send(RecordKind.SIGNAL, self._number, number)

    def request_pause(self) -> None:
        self.send_command(PAUSE_COMMAND)

    def close(self) -> None:
        """Close the channel and the command pipe, after the process has exited."""
        self.channel.close()
        with self._command_lock:
            self._is_closed = True
            os.close(self._commands)

    def mark_ended(self, status: int | None) -> None:
        self.status = status
        self.ended.set()
        self.channel.shutdown()


class ForkServer:
    """Thread-safe. `load` must be importable by name, because the fork server calls it in its own process."""

    def __init__(self, settings: Settings, load: Callable[[], Plugins] = load_plugins) -> None:
        self._settings = settings
        self._load = load
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._server: _ForkServerProcess | None = None
        self.is_closed = False

    def ensure_running(self) -> None:
        """Start it if needed, and wait until it has loaded the plugins. Raises `ForkServerDied`.

        Call this before the timeout of an attempt starts.
        """
        with self._lock:
            if self.is_closed:
                raise ForkServerDied("the worker is stopping")
            if self._server is None or self._server.is_dead:
                self._server = _ForkServerProcess(self._settings, self._load)
            server = self._server
        server.wait_until_ready()

    def start_process(self) -> TaskProcess:
        """Fork a task process. Raises `ForkServerDied`."""
        server = self._server
        if server is None or server.is_dead:
            raise ForkServerDied
        return server.start_process(next(self._numbers))

    def close(self) -> None:
        """End the fork server, which kills all its task processes. It cannot be started again."""
        with self._lock:
            self.is_closed = True
            server = self._server
        if server is not None:
            server.close()


class _ForkServerProcess:
    """One fork server process, and a thread that reads its records."""

    def __init__(self, settings: Settings, load: Callable[[], Plugins]) -> None:
        self._connection, theirs = socket.socketpair()
        self._send_lock = threading.Lock()
        self._processes: dict[int, TaskProcess] = {}
        self._ready = threading.Event()
        self.is_dead = False
        with theirs:
            self._process = _spawn(theirs)
        setup = Channel(self._connection)
        setup.send(msgspec.json.encode(sys.path))
        setup.send(pickle.dumps((settings, load)))
        threading.Thread(target=self._read_records, name="forkserver", daemon=True).start()

    def wait_until_ready(self) -> None:
        if not self._ready.wait(READY_TIMEOUT_S) or self.is_dead:
            raise ForkServerDied

    def start_process(self, number: int) -> TaskProcess:
        process = self._processes[number] = TaskProcess(self, number)
        process.start()
        if self.is_dead:  # it may have died before `_processes` had the new one
            process.mark_ended(None)
        return process

    def send(self, kind: RecordKind, number: int = 0, value: int = 0, fds: tuple[int, ...] = ()) -> None:
        """Send a record. When the fork server is gone, `_read_records` is about to notice."""
        with self._send_lock, suppress(OSError):
            forkserver_protocol.send(self._connection, kind, number, value, fds)

    def close(self) -> None:
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _read_records(self) -> None:
        try:
            while (record := forkserver_protocol.receive(self._connection)) is not None:
                kind, number, value, _ = record
                self._handle_record(kind, number, value)
        except OSError as exc:
            log.warning("forkserver.unreachable", error=str(exc))
        self._handle_death()

    def _handle_record(self, kind: RecordKind, number: int, value: int) -> None:
        match kind:
            case RecordKind.READY:
                self._ready.set()
            case RecordKind.STARTED:
                self._processes[number].pid = value
            case RecordKind.EXITED:
                self._processes.pop(number).mark_ended(value)
            case RecordKind.NOT_STARTED:
                log.error("task_process.not_started", error=os.strerror(value))
                self._processes.pop(number).mark_ended(None)

    def _handle_death(self) -> None:
        """Kill the process groups that are left. The kernel has killed the task processes, but not their children."""
        self.is_dead = True
        status = self._process.wait()
        if status != 0:
            log.error("forkserver.died", exit_code=status)
        for process in list(self._processes.values()):
            if process.pid is not None:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.mark_ended(None)
        self._ready.set()
        with self._send_lock:
            self._connection.close()


def _spawn(connection: socket.socket) -> subprocess.Popen[bytes]:
    """Start the fork server in a session of its own: it must survive a kill of the executor's group, to clean up."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(connection.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=[connection.fileno()],
        env={name: value for name, value in os.environ.items() if name not in ENV_NOT_INHERITED},
        start_new_session=True,
    )
