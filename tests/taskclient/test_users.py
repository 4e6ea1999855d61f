"""The user name that the client and `task-cli` send."""

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
    """Return the user name that `task-cli` sends."""
    given = {"TASKCORE_ADDRESS": server.address, **env}
    assert CliRunner().invoke(program, ["task", "get", "5", *args], env=given, prog_name="task-cli").exit_code == 0
    return server.requests[-1].headers.get(HEADER)


def test_login_name_is_sent_by_default(asked: FakeTaskServer) -> None:
    assert who(asked, LOGNAME="carol") == "carol"
    assert who(asked, TASKCORE_USER="ann") == "ann"
    assert who(asked, "--user", "bob (on call)", TASKCORE_USER="ann") == "bob (on call)"


def test_unsendable_login_name_is_omitted(asked: FakeTaskServer) -> None:
    assert who(asked, LOGNAME="jürgen") is None


@pytest.mark.parametrize("name", ["", " ann", "jürgen", "x" * 256, "two\nlines"])
def test_unsendable_user_name_is_refused(server: FakeTaskServer, name: str) -> None:
    result = CliRunner().invoke(program, ["task", "get", "5", "--user", name], prog_name="task-cli")

    assert result.exit_code == 2
    assert "printable ASCII" in result.stderr
    with pytest.raises(ValueError, match="printable ASCII"):
        Client(server.address, user=name)


def test_client_sends_the_given_user_or_none(asked: FakeTaskServer) -> None:
    for user in (None, "billing"):
        with Client(asked.address, user=user) as client:
            client.get(5)

    assert [request.headers.get(HEADER) for request in asked.requests] == [None, "billing"]
