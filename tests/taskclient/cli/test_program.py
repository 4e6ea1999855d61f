"""`task-cli` as a process: signals, broken pipes, and the worker that `serve` starts."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.taskclient.conftest import RunCli
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


@pytest.mark.parametrize("output", ["table", "json"])
def test_closed_output_is_one_line(server: FakeTaskServer, output: str) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body())))

    result = _run_in_shell(server, f"task list -o {output} >&-")

    assert (result.returncode, result.stderr) == (1, "Error: standard output is closed\n")


@pytest.mark.parametrize("arguments", ["task list", "--help"])
def test_full_disk_is_one_line(server: FakeTaskServer, arguments: str) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body())))

    result = _run_in_shell(server, f"{arguments} > /dev/full")

    assert (result.returncode, result.stderr) == (1, "Error: cannot write the output: No space left on device\n")


def test_closed_standard_error_does_not_change_the_exit_code(server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed")))

    assert _run_in_shell(server, "task wait 5 2>&-").returncode == 3


@pytest.mark.parametrize(
    "variables",
    [
        {"NO_PROXY": "10.0.0.0/8,.svc,fd00::/8"},
        {"NO_PROXY": "[::1]"},
        {"NO_PROXY": "127.0.0.0/8", "ALL_PROXY": "socks5://proxy:1080"},
        {"SSL_CERT_FILE": "/no/such/file"},
    ],
)
def test_variables_for_other_hosts_do_no_harm(cli: RunCli, server: FakeTaskServer, variables: dict[str, str]) -> None:
    server.on("GET", "/tasks", Answer(200, page_body()))

    assert cli("task", "list", variables=variables).exit_code == 0


@pytest.mark.parametrize(
    ("variables", "arguments", "reason"),
    [
        ({"ALL_PROXY": "socks5://proxy:1080"}, [], "is a socks5 proxy; only HTTP proxies are supported"),
        ({"HTTP_PROXY": "ftp://proxy"}, [], "is no address of a proxy"),
        (
            {"SSL_CERT_FILE": "/no/such/file"},
            ["--address", "https://127.0.0.1:1"],
            "SSL_CERT_FILE or SSL_CERT_DIR cannot be read: No such file or directory",
        ),
    ],
)
def test_variables_of_no_use_are_one_line(
    cli: RunCli, variables: dict[str, str], arguments: list[str], reason: str
) -> None:
    result = cli("task", "list", *arguments, variables=variables)

    assert result.exit_code == 1
    assert reason in result.stderr
    assert len(result.stderr.splitlines()) == 1


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


def _run_in_shell(server: FakeTaskServer, command: str) -> subprocess.CompletedProcess[str]:
    program = shlex.join(PROGRAM)
    return subprocess.run(
        ["sh", "-c", f"{program} {command}"], env=_env(server), capture_output=True, text=True, check=False
    )


def _env(server: FakeTaskServer) -> dict[str, str]:
    source = Path(__file__).parents[3] / "libs" / "taskclient" / "src"
    path = os.pathsep.join([str(source), sysconfig.get_path("purelib")])
    return {"PATH": os.environ["PATH"], "TASKCORE_ADDRESS": server.address, "PYTHONPATH": path}
