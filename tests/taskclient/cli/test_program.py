"""`task-cli` as a process: signals, broken pipes, and the worker that `serve` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.taskclient.fake_task_server import Answer, FakeTaskServer, Request, page_body, task_body

PROGRAM = [sys.executable, "-m", "taskclient"]
WORKER = """#!/bin/sh
echo "$@ level=$TASKCORE_LOG__LEVEL"
exit 7
"""


class Held:
    """A reply that does not arrive before the test ends."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()

    def __call__(self, request: Request) -> Answer:
        self.asked.set()
        self.released.wait(60)
        return Answer(200, task_body(status="running"))


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.released.set()


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    """The writing end of a pipe whose reader has closed it."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """The Python of an empty virtual environment; the packages installed here are on its path."""
    venv.create(tmp_path, with_pip=False, symlinks=True)
    return tmp_path / "bin" / "python"


def test_ctrl_c_is_quiet_and_exits_130(server: FakeTaskServer, held: Held) -> None:
    server.on("GET", "/tasks/5/wait", held)
    program = subprocess.Popen(
        [*PROGRAM, "task", "wait", "5"], env=_env(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert held.asked.wait(30)

    program.send_signal(signal.SIGINT)

    stdout, stderr = program.communicate(timeout=30)
    assert program.returncode == 130
    assert (stdout, stderr) == (b"", b"")


def test_closed_pipe_is_no_error(server: FakeTaskServer, broken_pipe: int) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(*(task_body(i) for i in range(200)))))

    result = subprocess.run(
        [*PROGRAM, "task", "list"], env=_env(server), stdout=broken_pipe, stderr=subprocess.PIPE, check=False
    )

    assert (result.returncode, result.stderr) == (0, b"")


def test_closed_pipe_does_not_hide_a_failed_task(server: FakeTaskServer, broken_pipe: int) -> None:
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed")))

    result = subprocess.run(
        [*PROGRAM, "task", "wait", "5"], env=_env(server), stdout=broken_pipe, stderr=subprocess.PIPE, check=False
    )

    assert (result.returncode, result.stderr) == (3, b"Error: task 5 failed\n")


def test_table_is_printed_in_a_limited_encoding(server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body(name="grüße 🎉"))))

    result = subprocess.run(
        [*PROGRAM, "task", "list"],
        env=_env(server) | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    )

    assert b"gr??e ?" in result.stdout


def test_serve_becomes_the_worker_of_its_environment(server: FakeTaskServer, elsewhere: Path) -> None:
    worker = elsewhere.with_name("taskworker")
    worker.write_text(WORKER)
    worker.chmod(0o755)

    result = subprocess.run(
        [elsewhere, "-m", "taskclient", "serve", "--log-level", "debug"],
        env=_env(server),
        capture_output=True,
        check=False,
        text=True,
    )

    assert (result.returncode, result.stdout, result.stderr) == (7, "run level=debug\n", "")


def test_serve_without_a_worker_names_the_package_to_install(server: FakeTaskServer, elsewhere: Path) -> None:
    result = subprocess.run(
        [elsewhere, "-m", "taskclient", "serve"], env=_env(server), capture_output=True, check=False, text=True
    )

    assert result.returncode == 1
    assert "install the package taskworker" in result.stderr


def _env(server: FakeTaskServer) -> dict[str, str]:
    source = Path(__file__).parents[3] / "libs" / "taskclient" / "src"
    path = os.pathsep.join([str(source), sysconfig.get_path("purelib")])
    return {"PATH": os.environ["PATH"], "TASKCORE_ADDRESS": server.address, "PYTHONPATH": path}
