"""`task-cli end2end` against a server that finishes every task."""

from __future__ import annotations

import io
import json
from collections import Counter
from typing import Any
from uuid import UUID

import pytest
from rich.console import Console

from taskclient.cli.end2end import show_progress
from taskclient.client import Client
from taskclient.end2end import Clock, EndToEndCheck, Plan
from tests.taskclient.conftest import RunCli
from tests.taskclient.fake_task_server import Answer, FakeTaskServer, Request, page_body, problem, task_body


class Runner:
    """Keeps the tasks of each batch, and one of another user. `ends` maps task numbers to their final status."""

    def __init__(
        self, server: FakeTaskServer, ends: dict[int, str] | None = None, otherwise: str = "succeeded"
    ) -> None:
        self.tasks = [task_body(1, status="failed", labels={"end2end": "another"})]
        self.ends = ends or {}
        self.otherwise = otherwise
        self.batches: list[int] = []
        server.on("POST", "/tasks/batch", self.store)
        server.on("GET", "/tasks", self.page)

    def store(self, request: Request) -> Answer:
        sent = request.body["tasks"]
        for task in sent:
            number = len(self.tasks) - 1
            status = self.ends.get(number, self.otherwise)
            error = "the table is gone" if status == "failed" else None
            self.tasks.append(task_body(100 + number, status=status, error=error, **task))
        self.batches.append(len(sent))
        results = [{"index": i, "id": i} for i in range(len(sent))]
        return Answer(201, {"created": len(sent), "existing": 0, "refused": 0, "results": results})

    def page(self, request: Request) -> Answer:
        statuses, (label,) = request.query.get("status"), request.query["label"]
        found = [t for t in self.own(label) if statuses is None or t["status"] in statuses]
        return Answer(200, page_body(*found[: int(request.query["limit"][0])], total=len(found)))

    def own(self, label: str) -> list[dict[str, Any]]:
        return [task for task in self.tasks if f"end2end={task['labels']['end2end']}" == label]


def test_half_are_queries_and_half_are_emails(cli: RunCli, server: FakeTaskServer) -> None:
    runner = Runner(server)

    result = cli("end2end", "--num-tasks", "10", "--database", "main", "--to", "me@example.com", "-o", "json")

    sent = runner.tasks[1:]
    summary = json.loads(result.stdout)
    assert result.exit_code == 0, result.stderr
    assert Counter(task["type"] for task in sent) == {"run_query": 5, "send_email": 5}
    assert sent[0]["parameters"] == {"database": "main", "query": "SELECT 1 AS one"}
    assert sent[1]["parameters"]["to"] == ["me@example.com"]
    assert sent[3]["name"] == f"end2end-{sent[3]['labels']['end2end'][:8]}-3"
    assert summary["counts"]["succeeded"] == summary["counts"]["total"] == summary["tasks"] == 10
    assert summary["tasks_per_second"] > 0


@pytest.mark.parametrize("flag", ["-n", "--num-tasks", "--count"])
def test_number_of_tasks_has_three_option_names(cli: RunCli, server: FakeTaskServer, flag: str) -> None:
    runner = Runner(server)

    result = cli("end2end", flag, "7")

    assert result.exit_code == 0, result.stderr
    assert len(runner.tasks) == 1 + 7


def test_a_hundred_tasks_are_submitted_by_default(cli: RunCli, server: FakeTaskServer) -> None:
    runner = Runner(server)

    result = cli("end2end", "--type", "noop", "--batch-size", "30")

    assert runner.batches == [30, 30, 30, 10]
    assert {task["type"] for task in runner.tasks} == {"noop"}
    assert "100 of 100 finished in" in result.stdout


def test_each_run_has_its_own_label(cli: RunCli, server: FakeTaskServer) -> None:
    runner = Runner(server)

    first, second = cli("end2end", "-n", "2"), cli("end2end", "-n", "2")

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert len({task["labels"]["end2end"] for task in runner.tasks}) == 3


def test_failure_exits_3_and_is_shown(cli: RunCli, server: FakeTaskServer) -> None:
    Runner(server, ends={2: "failed", 3: "cancelled"})

    result = cli("end2end", "-n", "4", "-o", "json")

    assert result.exit_code == 3
    assert json.loads(result.stdout)["counts"]["failed"] == 1
    assert "2 of 4 tasks did not succeed" in result.stderr
    assert "task 102" in result.stderr
    assert "failed: the table is gone" in result.stderr
    assert "task 103" in result.stderr


def test_number_of_shown_failures_is_limited(cli: RunCli, server: FakeTaskServer) -> None:
    Runner(server, otherwise="failed")

    result = cli("end2end", "-n", "50", "-o", "json")

    assert result.exit_code == 3
    assert len(json.loads(result.stdout)["failures"]) == 5


def test_unfinished_tasks_exit_4(cli: RunCli, server: FakeTaskServer) -> None:
    Runner(server, ends={0: "queued"})
    late = cli("end2end", "-n", "3", "--timeout", "0.2", "-o", "json")

    assert late.exit_code == 4
    assert json.loads(late.stdout)["counts"]["queued"] == 1
    assert "1 of 3 tasks did not finish in time" in late.stderr


def test_refused_batch_exits_1_and_names_the_invalid_task(cli: RunCli, server: FakeTaskServer) -> None:
    errors = [{"field": "tasks[0].type", "message": "unknown task type"}]
    server.on("POST", "/tasks/batch", problem(422, "invalid_task", errors=errors))

    result = cli("end2end", "-n", "2")

    assert result.exit_code == 1
    assert "tasks[0].type: unknown task type" in result.stderr


def test_progress_is_printed_every_five_seconds(client: Client, server: FakeTaskServer) -> None:
    now = 0.0

    def sleep(pause_s: float) -> None:
        nonlocal now
        now += pause_s

    Runner(server, ends={0: "running"})
    stderr = io.StringIO()
    check = EndToEndCheck(client, Plan(UUID(int=1), 2, "noop"), 180.0, Clock(lambda: now, sleep))

    show_progress(Console(file=stderr, width=200), 2, check.run(batch_size=10))

    lines = stderr.getvalue().splitlines()
    assert len(lines) == 36
    assert lines[0] == (
        "5 s: blocked 0, scheduled 0, queued 0, running 1, retrying 0, paused 0, cancelling 0, "
        "succeeded 1, failed 0, cancelled 0, total 2"
    )
    assert lines[-1].startswith("180 s: ")
