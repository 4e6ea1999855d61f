"""One trace from the request to the settlement, through real processes, as a real endpoint receives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.otlp_receiver import OtlpReceiver, Span
from harness.processes import Service
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.system import System

#: The first attempt of a task: who makes each span, of which kind it is, and what it is in.
WHOLE = {
    "POST /api/v1/tasks": ("taskcore-api", "SERVER", None),
    "INSERT task": ("taskcore-api", "CLIENT", "POST /api/v1/tasks"),
    "wait in default": ("taskcore-worker", "INTERNAL", "POST /api/v1/tasks"),
    "relay default": ("taskcore-coordinator", "INTERNAL", "POST /api/v1/tasks"),
    "publish default": ("taskcore-coordinator", "PRODUCER", "relay default"),
    "process default": ("taskcore-worker", "CONSUMER", "publish default"),
    "claim": ("taskcore-worker", "CLIENT", "process default"),
    "run noop": ("taskcore-worker", "INTERNAL", "process default"),
    "settle": ("taskcore-worker", "CLIENT", "process default"),
}
CALLER = ("5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e", "5eed5eed5eed5eed")


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    receiver = OtlpReceiver()
    yield receiver
    receiver.stop()


@pytest.fixture(scope="module")
def system(make_system: MakeSystem, receiver: OtlpReceiver) -> System:
    system = make_system(
        {
            "TASKCORE_TRACING__ENDPOINT": receiver.endpoint,
            "TASKCORE_TRACING__TIMEOUT_S": "1",
            "TASKCORE_COMMANDS": json.dumps({"tell": {"argv": ["/bin/sh", "-c", "echo $TRACEPARENT"]}}),
            "TASKCORE_HTTP__ALLOWED_NETWORKS": '["127.0.0.0/8"]',
        }
    )
    system.start(coordinators=1)
    system.register_types()
    return system


@pytest.fixture(scope="module")
def worker(system: System) -> Iterator[Service]:
    """From the first test that asks for it on."""
    with system.worker(processes=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def served(system: System, worker: Service) -> System:
    return system


def attempts_of(task_id: int, spans: Sequence[Span]) -> list[Span]:
    """Its `process` spans, by attempt."""
    found = [
        span for span in spans if span.name.startswith("process") and span.attributes["taskcore.task.id"] == task_id
    ]
    return sorted(found, key=lambda span: str(span.attributes["taskcore.task.attempt"]))


def traces_of(receiver: OtlpReceiver, task_id: int, attempts: int = 1) -> list[list[Span]]:
    """The spans of each attempt's trace, once so many attempts are told of completely."""

    def are_there(spans: Sequence[Span]) -> bool:
        found = attempts_of(task_id, spans)
        return len(found) == attempts and all(_is_whole(one.trace_id, spans) for one in found)

    spans = receiver.wait_for(are_there)
    return [[span for span in spans if span.trace_id == one.trace_id] for one in attempts_of(task_id, spans)]


def _is_whole(trace_id: str, spans: Sequence[Span]) -> bool:
    """Nothing is missing above of what is there."""
    ids = {span.span_id for span in spans}
    ours = [span for span in spans if span.trace_id == trace_id]
    return all(span.parent_id in ids or span.parent_id in (None, CALLER[1]) for span in ours)


def named(spans: Sequence[Span], name: str) -> Span:
    (span,) = [span for span in spans if span.name == name]
    return span


def history_times(system: System, task_id: int) -> dict[str, datetime]:
    """When it came to each status, the last time."""
    rows = system.sql("SELECT to_status, at FROM task_history WHERE task_id = %s ORDER BY id", task_id)
    return {row["to_status"]: row["at"] for row in rows}


def test_a_rescued_attempt_is_linked_and_the_lost_one_has_its_trace(
    system: System, receiver: OtlpReceiver, gate: Path
) -> None:
    short: dict[str, Any] = {"heartbeat_s": 0.5, "lease_s": 3, "processes": 1}
    killed = system.start_worker(**short)
    task_id = system.submit("gated", {"gate": str(gate)})
    system.wait_for(task_id, "running")

    killed.kill_group()
    with system.worker(**short):
        gate.touch()
        system.wait_for(task_id)

    (spans,) = traces_of(receiver, task_id)
    (request,) = [
        span
        for span in receiver.spans()
        if span.name == "POST /api/v1/tasks" and span.trace_id == _submitted(system, task_id)
    ]
    assert {link.span_id for link in named(spans, "relay default").links} == {request.span_id}
    rows = system.sql("SELECT outcome, trace_id FROM task_attempt WHERE task_id = %s ORDER BY attempt", task_id)
    assert [(row["outcome"], row["trace_id"]) for row in rows] == [
        ("lost", request.trace_id),
        ("succeeded", spans[0].trace_id),
    ]


def _submitted(system: System, task_id: int) -> str:
    return str(system.scalar("SELECT trace_context FROM task WHERE id = %s", task_id)).split("-")[1]


def test_a_task_is_one_trace_through_all_processes(served: System, receiver: OtlpReceiver) -> None:
    task_id = served.submit("noop")
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    names = {span.span_id: span.name for span in spans}
    found = {span.name: (span.service, span.kind, names.get(span.parent_id or "")) for span in spans}
    assert {name: found[name] for name in WHOLE} == WHOLE
    assert {span.status for span in spans} == {"UNSET"}
    (attempt,) = served.sql("SELECT trace_id, span_id FROM task_attempt WHERE task_id = %s", task_id)
    process = named(spans, "process default")
    assert (attempt["trace_id"], attempt["span_id"]) == (process.trace_id, process.span_id)


def test_what_the_spans_say_follows_the_conventions(served: System, receiver: OtlpReceiver) -> None:
    task_id = served.submit("noop")
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    request = named(spans, "POST /api/v1/tasks").attributes
    assert (request["http.request.method"], request["http.route"]) == ("POST", "/api/v1/tasks")
    assert request["http.response.status_code"] == 201
    assert isinstance(request["server.port"], int)
    statement = named(spans, "INSERT task").attributes
    assert (statement["db.system.name"], statement["db.query.summary"]) == ("postgresql", "INSERT task")
    for name, kind in {"publish default": "send", "process default": "process"}.items():
        message = named(spans, name).attributes
        assert (message["messaging.system"], message["messaging.destination.name"]) == ("rabbitmq", "default")
        assert (message["messaging.operation.type"], message["messaging.message.id"]) == (kind, str(task_id))
    process = named(spans, "process default")
    assert process.attributes["taskcore.attempt.outcome"] == "succeeded"
    assert process.resource["service.namespace"] == "taskcore"


def test_what_plugins_call_is_inside_of_their_run_in_a_process_of_its_own_too(
    served: System, receiver: OtlpReceiver
) -> None:
    asking = served.submit("http_request", {"url": f"{receiver.endpoint}/there", "expected_status": [404]})
    telling = served.submit("run_command", {"command": "tell"})
    served.wait_for(asking)
    served.wait_for(telling)
    told = served.scalar("SELECT result ->> 'output' FROM task WHERE id = %s", telling).strip()

    for task_id, call, run in ((asking, "GET", "run http_request"), (telling, "sh", "run run_command")):
        (spans,) = traces_of(receiver, task_id)
        assert named(spans, call).parent_id == named(spans, run).span_id
        assert (named(spans, call).kind, named(spans, call).resource) == ("CLIENT", named(spans, run).resource)
        if call == "sh":
            assert told == f"00-{spans[0].trace_id}-{named(spans, call).span_id}-01"
    (request,) = [request for request in receiver.requests if request.path == "/there"]
    assert request.headers["traceparent"].split("-")[1] == traces_of(receiver, asking)[0][0].trace_id


def test_the_wait_in_the_queue_is_what_the_history_says(served: System, receiver: OtlpReceiver) -> None:
    task_id = served.submit("noop")
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    at, wait = history_times(served, task_id), named(spans, "wait in default")
    assert (wait.start, wait.end) == (at["queued"], at["running"])


def test_a_request_that_is_part_of_a_trace_takes_its_task_into_it(served: System, receiver: OtlpReceiver) -> None:
    trace_id, caller = CALLER
    headers = {"traceparent": f"00-{trace_id}-{caller}-01"}
    body = {"name": "a caller's", "type": "noop"}
    task_id = served.api.post("/tasks", json=body, headers=headers).json()["id"]
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    assert named(spans, "process default").trace_id == trace_id
    assert named(spans, "POST /api/v1/tasks").parent_id == caller


def test_what_a_caller_does_not_follow_is_not_followed(served: System) -> None:
    headers = {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-00"}
    body = {"name": "nobody looks", "type": "noop"}
    task_id = served.api.post("/tasks", json=body, headers=headers).json()["id"]
    served.wait_for(task_id)

    assert served.scalar("SELECT trace_context FROM task WHERE id = %s", task_id) is None
    assert served.scalar("SELECT trace_id FROM task_attempt WHERE task_id = %s", task_id) is None


def test_retries_are_traces_of_their_own_linked_to_what_was_before(served: System, receiver: OtlpReceiver) -> None:
    task_id = served.submit("flaky", max_attempts=3)
    served.wait_for(task_id)

    first, *later = traces_of(receiver, task_id, attempts=3)

    request, before = named(first, "POST /api/v1/tasks"), named(first, "process default")
    assert before.status == "ERROR"
    for spans in later:
        relay, process = named(spans, "relay default"), named(spans, "process default")
        assert relay.parent_id is None
        assert process.parent_id == named(spans, "publish default").span_id
        assert {link.span_id for link in relay.links} == {request.span_id, before.span_id}
        assert {link.span_id for link in process.links} == {request.span_id}
        before = process
    rows = served.sql("SELECT trace_id FROM task_attempt WHERE task_id = %s ORDER BY attempt", task_id)
    assert [row["trace_id"] for row in rows] == [spans[0].trace_id for spans in (first, *later)]
    assert len({row["trace_id"] for row in rows}) == 3


def test_a_task_of_a_schedule_begins_a_trace_where_it_fires(served: System, receiver: OtlpReceiver) -> None:
    body = {"name": "traced", "every_s": 86_400, "run_at_start": True, "task": {"type": "noop"}}
    assert served.api.post("/schedules", json=body).status_code == 201
    task_id = eventually(lambda: served.scalar("SELECT max(id) FROM task WHERE name = 'traced'"))
    served.wait_for(task_id)

    (spans,) = traces_of(receiver, task_id)

    fired = named(spans, "fire schedule")
    assert (fired.service, fired.parent_id) == ("taskcore-coordinator", None)
    assert named(spans, "relay default").parent_id == fired.span_id


@pytest.mark.parametrize(
    "trouble", [OtlpReceiver.hang, lambda receiver: receiver.answer_with(503)], ids=["silent", "503"]
)
def test_tasks_do_not_wait_for_an_endpoint_in_trouble(
    served: System, worker: Service, receiver: OtlpReceiver, trouble: Callable[[OtlpReceiver], None]
) -> None:
    before = dropped(worker)
    trouble(receiver)
    try:
        task_ids = [served.submit("noop") for _ in range(20)]
        served.wait_for(task_ids)
        eventually(lambda: dropped(worker) > before, description="spans that are counted as dropped")
    finally:
        receiver.release()
        receiver.respond_with(200)

    served.assert_each_ran_once(task_ids)


def dropped(worker: Service) -> float:
    lines = httpx.get(f"{worker.url}/metrics", trust_env=False).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("taskcore_spans_dropped_total{"))
