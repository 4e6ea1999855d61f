"""The client against a server that works, is unavailable or refuses."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from taskclient import ApiError, Client, NewTask, ServerUnreachable, Status, UnexpectedResponse, WaitTimeout
from tests.taskclient.fake_task_server import LOST, Answer, FakeTaskServer, page_body, problem, task_body

NOOP = NewTask("say hello", "noop")


def test_submit_sends_only_the_given_fields(client: Client, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    task = client.submit(NewTask("say hello", "noop", run_at=datetime(2030, 1, 2, tzinfo=UTC)))

    assert task.id == 5
    assert server.requests[0].body == {"name": "say hello", "type": "noop", "run_at": "2030-01-02T00:00:00Z"}


def test_submit_is_retried_with_the_same_key_after_a_lost_response(client: Client, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", LOST, Answer(200, task_body()))

    task = client.submit(NOOP)

    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert task.id == 5
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_each_submit_has_its_own_key(client: Client, server: FakeTaskServer) -> None:
    server.on("POST", "/tasks", Answer(201, task_body()))

    client.submit(NOOP)
    client.submit(NOOP)
    client.submit(NOOP, idempotency_key="mine")

    keys = [request.headers["idempotency-key"] for request in server.requests]
    assert len(set(keys)) == 3
    assert keys[2] == "mine"


def test_retry_after_of_a_503_is_respected(client: Client, server: FakeTaskServer, pauses: list[float]) -> None:
    unavailable = problem(503, "database_unavailable", retry_after="7")
    server.on("POST", "/tasks", unavailable, unavailable, Answer(201, task_body()))

    task = client.submit(NOOP)

    assert task.id == 5
    assert pauses == [7.0, 7.0]


def test_client_gives_up_on_a_server_that_stays_unavailable(
    client: Client, server: FakeTaskServer, pauses: list[float]
) -> None:
    server.on("GET", "/tasks/5", problem(503, "database_unavailable"))

    with pytest.raises(ApiError) as refusal:
        client.get(5)

    assert refusal.value.problem.code == "database_unavailable"
    assert pauses == [0.2, 0.4, 0.8]


def test_long_retry_after_is_not_waited_for(client: Client, server: FakeTaskServer, pauses: list[float]) -> None:
    server.on("GET", "/tasks/5", problem(503, "database_unavailable", retry_after="3600"))

    with pytest.raises(ApiError):
        client.get(5)

    assert pauses == []


@pytest.mark.parametrize("reply", [LOST, problem(503, "database_unavailable")])
def test_cancel_that_may_have_been_carried_out_is_not_retried(
    client: Client, server: FakeTaskServer, reply: Answer
) -> None:
    server.on("POST", "/tasks/5/cancel", reply)

    with pytest.raises((ServerUnreachable, ApiError)):
        client.cancel(5)

    assert len(server.requests) == 1


def test_api_error_carries_the_whole_problem(client: Client, server: FakeTaskServer) -> None:
    errors = [{"field": "parameters.to", "message": "is missing"}]
    server.on("POST", "/tasks", problem(422, "invalid_task", "One field is wrong", errors=errors))

    with pytest.raises(ApiError) as refusal:
        client.submit(NOOP)

    assert (refusal.value.problem.status, refusal.value.problem.code) == (422, "invalid_task")
    assert refusal.value.problem.detail == "One field is wrong"
    assert [(error.field, error.message) for error in refusal.value.problem.errors] == [("parameters.to", "is missing")]


def test_error_page_of_a_proxy_is_an_api_error(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(502, b"<html>Bad Gateway</html>"))

    with pytest.raises(ApiError) as refusal:
        client.get(5)

    assert (refusal.value.problem.status, refusal.value.problem.code) == (502, "http_502")


def test_page_of_another_program_is_an_unexpected_response(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(200, b"<html>It works!</html>"))

    with pytest.raises(UnexpectedResponse, match=r"not Taskcore's"):
        client.get(5)


def test_missing_server_is_unreachable(dead_address: str, pauses: list[float]) -> None:
    with Client(dead_address, sleep=pauses.append) as client, pytest.raises(ServerUnreachable, match=dead_address):
        client.cancel(5)

    assert len(pauses) == 3


def test_task_with_an_unknown_status_is_readable(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks/5", Answer(200, task_body(status="blocked")))

    task = client.get(5)

    assert task.status == "blocked"
    assert not task.is_terminal


def test_list_sends_each_value_of_a_filter(client: Client, server: FakeTaskServer) -> None:
    server.on("GET", "/tasks", Answer(200, page_body(task_body())))

    page = client.list(
        status=[Status.FAILED, Status.CANCELLED], labels=[("team", "a=b&c")], search="hello", limit=10, offset=20
    )

    assert page.total == 1
    assert server.requests[0].query == {
        "status": ["failed", "cancelled"],
        "label": ["team=a=b&c"],
        "q": ["hello"],
        "limit": ["10"],
        "offset": ["20"],
    }


def test_batch_returns_a_result_for_each_task(client: Client, server: FakeTaskServer) -> None:
    refusal = {"title": "Bad", "status": 422, "code": "invalid_task"}
    results = [{"index": 0, "id": 8}, {"index": 1, "problem": refusal}]
    server.on("POST", "/tasks/batch", Answer(201, {"created": 1, "existing": 0, "refused": 1, "results": results}))

    answer = client.submit_batch([NOOP, NOOP], atomic=False)

    assert server.requests[0].body["atomic"] is False
    assert "idempotency-key" in server.requests[0].headers
    assert [(result.id, result.problem and result.problem.code) for result in answer.results] == [
        (8, None),
        (None, "invalid_task"),
    ]


def test_history_attempts_and_lists_are_decoded(client: Client, server: FakeTaskServer) -> None:
    step = {"id": 1, "task_id": 5, "attempt": 0, "from_status": None, "to_status": "queued", "actor": "api"}
    server.on(
        "GET",
        "/tasks/5/history",
        Answer(200, {"items": [step | {"details": None, "at": "2030-01-02T03:04:05Z"}], "next_after": None}),
    )
    attempt = {"attempt": 1, "worker_id": 3, "started_at": "2030-01-02T03:04:05Z", "finished_at": None}
    server.on(
        "GET",
        "/tasks/5/attempts",
        Answer(200, {"items": [attempt | {"outcome": None, "error": None}], "next_after": None}),
    )
    server.on("GET", "/workers", Answer(200, {"items": []}))

    assert client.history(5)[0].to_status == Status.QUEUED
    assert client.attempts(5)[0].worker_id == 3
    assert list(client.workers()) == []


def test_wait_polls_until_the_task_has_finished(client: Client, server: FakeTaskServer) -> None:
    running, done = Answer(200, task_body(status="running")), Answer(200, task_body(status="succeeded"))
    server.on("GET", "/tasks/5/wait", running, running, done)

    task = client.wait(5)

    assert task.status == Status.SUCCEEDED
    assert [request.query["timeout"] for request in server.requests] == [["30"]] * 3


def test_wait_requests_no_more_than_the_remaining_time(server: FakeTaskServer) -> None:
    now = 100.0

    def clock() -> float:
        return now

    def sleep(pause_s: float) -> None:
        nonlocal now
        now += 20.0

    server.on("GET", "/tasks/5/wait", Answer(200, task_body(status="running")))

    with Client(server.address, sleep=sleep, clock=clock) as client, pytest.raises(WaitTimeout) as late:
        client.wait(5, timedelta(seconds=45))

    assert late.value.task.status == Status.RUNNING
    assert [request.query["timeout"] for request in server.requests] == [["30"], ["25"], ["5"], ["0"]]


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("localhost:8080", "http://localhost:8080"),
        ("https://tasks.example.com/", "https://tasks.example.com"),
        ("http://example.com/tasks/", "http://example.com/tasks"),
    ],
)
def test_address_is_normalized(given: str, used: str) -> None:
    with Client(given) as client:
        assert client.address == used


@pytest.mark.parametrize("given", ["ftp://example.com", "http://", "http://a:b:c", ""])
def test_invalid_address_is_refused(given: str) -> None:
    with pytest.raises(ValueError, match="address"):
        Client(given)
