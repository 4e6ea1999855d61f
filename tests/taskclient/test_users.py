"""Who asks, as `task-cli` and the client say it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from taskclient.cli.program import program
from taskclient.client import Client
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, task_body

HEADER = "x-taskcore-user"


@pytest.fixture
def asked(server: FakeTaskServer) -> FakeTaskServer:
    server.on("GET", "/tasks/5", Answer(200, task_body()))
    return server


def who(server: FakeTaskServer, *args: str, **env: str) -> str | None:
    """What `task-cli` calls itself."""
    given = {"TASKCORE_ADDRESS": server.address, **env}
    assert CliRunner().invoke(program, ["task", "get", "5", *args], env=given, prog_name="task-cli").exit_code == 0
    return server.requests[-1].headers.get(HEADER)


def test_the_login_name_is_sent_unless_another_is_given(asked: FakeTaskServer) -> None:
    assert who(asked, LOGNAME="carol") == "carol"
    assert who(asked, TASKCORE_USER="ann") == "ann"
    assert who(asked, "--user", "bob (on call)", TASKCORE_USER="ann") == "bob (on call)"


def test_a_login_name_that_cannot_be_sent_is_left_out(asked: FakeTaskServer) -> None:
    assert who(asked, LOGNAME="jürgen") is None


@pytest.mark.parametrize("name", ["", " ann", "jürgen", "x" * 256, "two\nlines"])
def test_a_name_that_cannot_be_sent_is_refused(server: FakeTaskServer, name: str) -> None:
    result = CliRunner().invoke(program, ["task", "get", "5", "--user", name], prog_name="task-cli")

    assert result.exit_code == 2
    assert "printable ASCII" in result.stderr
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(server.address, user=name)


def test_a_program_says_who_it_is_or_nothing(asked: FakeTaskServer) -> None:
    for user in (None, "billing"):
        with Client(asked.address, user=user) as client:
            client.get(5)

    assert [request.headers.get(HEADER) for request in asked.requests] == [None, "billing"]
