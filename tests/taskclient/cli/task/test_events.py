"""`task-cli task events`: requests, output, and following."""

from __future__ import annotations

from tests.taskclient.bodies import event, page
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, task_body


def test_task_events_are_listed_and_followed_until_the_task_has_finished(cli: RunCli, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(status="running")))
    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="failed")))
    server.on("GET", "/tasks/5/events", page(event(1), next_after=1), page(event(2), next_after=2))

    followed = cli("task", "events", "--id", "5", "--follow")
    listed = cli("t", "events", "5")

    assert followed.exit_code == 3
    assert [line[-9:] for line in followed.stdout.splitlines()] == ["message 1", "message 2"]
    assert listed.stdout.splitlines()[-1] == "total: 1"
