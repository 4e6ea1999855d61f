"""The executor's side of its nursery: starts it when it is first needed, and again when it has died."""

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

#: Not by `multiprocessing`, which would run the service's main module again.
PROGRAM = "import sys; from taskcore.execution.isolation.forkserver_main import main; main(int(sys.argv[1]))"
#: Each process that writes metrics leaves a file; task processes would leave one each.
ENV_NOT_INHERITED = {"PROMETHEUS_MULTIPROC_DIR"}
READY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 5.0

log = structlog.stdlib.get_logger(__name__)


class ForkServerDied(TaskcoreError):
    """There is no process to start task processes from."""


class TaskProcess:
    """One task process as its executor sees it. `status` is its wait status; None where its end was not seen."""

    def __init__(self, house: _ForkServerProcess, number: int) -> None:
        self._house = house
        self._number = number
        ours, self._theirs = socket.socketpair()
        self._read_orders, self._orders = os.pipe()
        self._ordering = threading.Lock()
        self._is_closed = False
        self.channel = Channel(ours)
        self.ended = threading.Event()
        self.pid: int | None = None
        self.status: int | None = None

    def start(self) -> None:
        self._house.send(RecordKind.START, self._number, fds=(self._theirs.fileno(), self._read_orders))
        self._theirs.close()
        os.close(self._read_orders)

    def send_command(self, letter: bytes) -> None:
        with self._ordering, suppress(OSError):  # it may be over
            if not self._is_closed:  # else the descriptor may be somebody else's by now
                os.write(self._orders, letter)

    def send_signal(self, number: int) -> None:
        """Send a signal to its whole group."""
        self._house.send(RecordKind.SIGNAL, self._number, number)

    def request_pause(self) -> None:
        self.send_command(PAUSE_COMMAND)

    def close(self) -> None:
        """Let go of it. It must have ended."""
        self.channel.close()
        with self._ordering:
            self._is_closed = True
            os.close(self._orders)

    def mark_ended(self, status: int | None) -> None:
        self.status = status
        self.ended.set()
        self.channel.shutdown()


class ForkServer:
    """Thread-safe. `load` must be found by its name in another process."""

    def __init__(self, settings: Settings, load: Callable[[], Plugins] = load_plugins) -> None:
        self._settings = settings
        self._load = load
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._house: _ForkServerProcess | None = None
        self.is_closed = False

    def ensure_running(self) -> None:
        """Have it ready, so that no attempt's time goes by with loading it. Raises `NurseryLost`."""
        with self._lock:
            if self.is_closed:
                raise ForkServerDied("the worker stops")
            if self._house is None or self._house.is_dead:
                self._house = _ForkServerProcess(self._settings, self._load)
            house = self._house
        house.wait_until_ready()

    def start_process(self) -> TaskProcess:
        """A new one, started. Raises `NurseryLost`."""
        house = self._house
        if house is None or house.is_dead:
            raise ForkServerDied
        return house.start_process(next(self._numbers))

    def close(self) -> None:
        """Kill all that runs, and end it."""
        with self._lock:
            self.is_closed = True
            house = self._house
        if house is not None:
            house.close()


class _ForkServerProcess:
    """One nursery process."""

    def __init__(self, settings: Settings, load: Callable[[], Plugins]) -> None:
        self._line, theirs = socket.socketpair()
        self._sending = threading.Lock()
        self._processes: dict[int, TaskProcess] = {}
        self._ready = threading.Event()
        self.is_dead = False
        with theirs:
            self._process = _spawn(theirs)
        setup = Channel(self._line)
        setup.send(msgspec.json.encode(sys.path))
        setup.send(pickle.dumps((settings, load)))
        threading.Thread(target=self._listen, name="nursery", daemon=True).start()

    def wait_until_ready(self) -> None:
        if not self._ready.wait(READY_TIMEOUT_S) or self.is_dead:
            raise ForkServerDied

    def start_process(self, number: int) -> TaskProcess:
        process = self._processes[number] = TaskProcess(self, number)
        process.start()
        if self.is_dead:  # it may have been so before there was anything to tell it to
            process.mark_ended(None)
        return process

    def send(self, kind: RecordKind, number: int = 0, value: int = 0, fds: tuple[int, ...] = ()) -> None:
        """Where nobody is there any more, `_listen` is about to say so."""
        with self._sending, suppress(OSError):
            forkserver_protocol.send(self._line, kind, number, value, fds)

    def close(self) -> None:
        with suppress(OSError):
            self._line.shutdown(socket.SHUT_WR)
        try:
            self._process.wait(EXIT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _listen(self) -> None:
        try:
            while (record := forkserver_protocol.receive(self._line)) is not None:
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
        """It is gone. The kernel ends its children with it, but not theirs."""
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
        with self._sending:
            self._line.close()


def _spawn(line: socket.socket) -> subprocess.Popen[bytes]:
    """In a session of its own: what kills the executor's whole group must leave it to clean up."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(line.fileno())],
        stdin=subprocess.DEVNULL,
        pass_fds=[line.fileno()],
        env={name: value for name, value in os.environ.items() if name not in ENV_NOT_INHERITED},
        start_new_session=True,
    )
