"""Fixtures: a fake server, a client of it, and `task-cli`."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping

import pytest
from click.testing import CliRunner, Result

from taskclient.cli.program import program
from taskclient.client import Client
from tests.taskclient.fake_task_server import FakeTaskServer

RunCli = Callable[..., Result]


@pytest.fixture
def server() -> Iterator[FakeTaskServer]:
    fake = FakeTaskServer()
    yield fake
    fake.close()


@pytest.fixture
def pauses() -> list[float]:
    """The pauses of the client in seconds, which it does not sleep."""
    return []


@pytest.fixture
def client(server: FakeTaskServer, pauses: list[float]) -> Iterator[Client]:
    with Client(server.address, sleep=pauses.append) as client:
        yield client


@pytest.fixture
def cli(server: FakeTaskServer) -> RunCli:
    """Run `task-cli` with the given arguments against the server."""

    def run(*args: str, variables: Mapping[str, str] | None = None) -> Result:
        env = {"TASKCORE_ADDRESS": server.address} | dict(variables or {})
        return CliRunner().invoke(program, list(args), env=env, prog_name="task-cli")

    return run


@pytest.fixture
def dead_address() -> str:
    """An address at which no server listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
