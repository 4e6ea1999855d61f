"""Taskcore's programs as real subprocesses, as an operator runs them. None outlives the test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from harness.ports import free_port
from harness.reaper import MARKER_VARIABLE, Reaper, kill_marked
from harness.waiting import eventually

BIN_DIR = Path(sys.executable).parent
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 120.0


def is_alive(pid: int) -> bool:
    """Return whether the process runs; a zombie does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Service:
    """One run of a program in its own process session.

    `url` is where its API listens, and `health_url` where its health and metrics do; without an API they are the same.
    """

    def __init__(self, command: tuple[str, ...], environment: Mapping[str, str], log_file: Path, mark: str) -> None:
        self.command = command
        self.log_file = log_file
        api, health = free_port(), free_port()
        self.health_url = f"http://127.0.0.1:{health}"
        has_api = command[0] in ("taskapi", "taskcore-standalone")
        self.url = f"http://127.0.0.1:{api}" if has_api else self.health_url
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TASKCORE_")}
        ports = {"TASKCORE_API__PORT": str(api), "TASKCORE_HEALTH__PORT": str(health), "TASKCORE_API__DRAIN_S": "0"}
        with log_file.open("ab") as output:
            self._process = subprocess.Popen(
                [str(BIN_DIR / command[0]), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=inherited | ports | dict(environment) | {MARKER_VARIABLE: mark},
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything that it has printed so far."""
        return self.log_file.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.health_url}/readyz", trust_env=False, timeout=10).is_success
        except httpx.TransportError:
            return False

    def wait_until_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until `/readyz` succeeds. Raise RuntimeError when the program ends instead."""
        eventually(self._has_started, timeout_s, description=f"{self.command} being ready")

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Wait for the end and return the exit code, negative for a signal."""
        return self._process.wait(timeout_s)

    def terminate(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """Send SIGTERM, wait for the end and return the exit code."""
        self._process.terminate()
        return self.wait(timeout_s)

    def kill(self) -> None:
        """Send SIGKILL to this process only."""
        self._process.kill()
        self._process.wait()

    def kill_session(self) -> None:
        """Send SIGKILL to this process and its descendants in the same session, its executors among them."""
        main = psutil.Process(self.pid)
        for process in [main, *main.children(recursive=True)]:
            with suppress(ProcessLookupError, psutil.NoSuchProcess):
                if os.getsid(process.pid) == self.pid:
                    process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Send SIGSTOP to this process, then to its descendants: they stay alive but do nothing."""
        main = psutil.Process(self.pid)
        main.suspend()
        for process in main.children(recursive=True):
            process.suspend()

    def thaw(self) -> None:
        main = psutil.Process(self.pid)
        for process in [main, *main.children(recursive=True)]:
            process.resume()

    def _has_started(self) -> bool:
        if (code := self._process.poll()) is not None:
            raise RuntimeError(f"{self.command} ended with {code} before it was ready:\n{self.log[-4000:]}")
        return self.is_ready


class Services:
    """The programs that one test runs."""

    def __init__(self, directory: Path, reaper: Reaper) -> None:
        self.started: list[Service] = []
        self._directory = directory
        self._mark = uuid4().hex
        reaper.watch_marked(self._mark)

    def start(self, *command: str, env: Mapping[str, str], ready: bool = True) -> Service:
        """Start a program such as `("taskworker", "run")` with these settings; by default wait until it is ready."""
        log_file = self._directory / f"{len(self.started)}-{'-'.join(command[:2])}.log"
        service = Service(command, env, log_file, self._mark)
        self.started.append(service)
        if ready:
            service.wait_until_ready()
        return service

    def kill_all(self) -> None:
        """Kill every process of every program, including orphans and processes in other sessions."""
        kill_marked(self._mark)
        for service in self.started:
            service.wait()


@pytest.fixture
def services(tmp_path: Path, reaper: Reaper) -> Iterator[Services]:
    """Yield a starter of Taskcore's programs. A failed test shows the ends of their logs."""
    services = Services(tmp_path, reaper)
    yield services
    services.kill_all()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    services = getattr(item, "funcargs", {}).get("services")
    if report.failed and isinstance(services, Services):
        for service in services.started:
            report.sections.append((f"log of {' '.join(service.command)}", service.log[-8000:]))
    return report
