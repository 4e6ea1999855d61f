"""One trace from the request to the settlement, across real processes, as a real endpoint receives it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.otlp_receiver import OtlpReceiver
from harness.processes import Service
from harness.waiting import eventually
from tests.system.conftest import MakeSystem
from tests.system.observability.span_queries import CALLER, history_times, named, traces_of
from tests.system.system import System

#: The spans of a task's first attempt: service, kind, parent.
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
    """Start a worker at the first test that requests it."""
    with system.worker(processes=1) as worker:
        yield worker


@pytest.fixture(scope="module")
def served(system: System, worker: Service) -> System:
    return system


def test_rescued_attempt_links_to_the_lost_one_which_has_its_own_trace(
    system: System, receiver: OtlpReceiver, gate: Path
) -> None:
    short: dict[str, Any] = {"heartbeat_s": 0.5, "lease_s": 3, "processes": 1}
    killed = system.start_worker(**short)
    task_id = system.submit("gated", {"gate": str(gate)})
    system.wait_for(task_id, "running")

    killed.kill_session()
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


def test_task_is_one_trace_across_all_processes(served: System, receiver: OtlpReceiver) -> None:
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


def test_span_attributes_follow_the_semantic_conventions(served: System, receiver: OtlpReceiver) -> None:
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


def test_calls_of_plugins_are_children_of_their_run_also_when_isolated(served: System, receiver: OtlpReceiver) -> None:
    asking = served.submit("http_request", {"url": f"{receiver.endpoint}/there", "expected_status": [404]})
    telling = served.submit("run_command", {"command": "tell"})
    served.wait_for(asking)
    served.wait_for(telling)
    reported = served.scalar("SELECT result ->> 'output' FROM task WHERE id = %s", telling).strip()

    for task_id, call, run in ((asking, "GET", "run http_request"), (telling, "sh", "run run_command")):
        (spans,) = traces_of(receiver, task_id)
        assert named(spans, call).parent_id == named(spans, run).span_id
        assert (named(spans, call).kind, named(spans, call).resource) == ("CLIENT", named(spans, run).resource)
        if call == "sh":
            assert reported == f"00-{spans[0].trace_id}-{named(spans, call).span_id}-01"
    (request,) = [request for request in receiver.requests if request.path == "/there"]
    assert request.headers["traceparent"].split("-")[1] == traces_of(receiver, asking)[0][0].trace_id


def test_queue_wait_matches_the_history(served: System, receiver: OtlpReceiver) -> None:
    task_id = served.submit("noop")
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    at, wait = history_times(served, task_id), named(spans, "wait in default")
    assert (wait.start, wait.end) == (at["queued"], at["running"])


def test_task_joins_the_trace_of_its_request(served: System, receiver: OtlpReceiver) -> None:
    trace_id, caller = CALLER
    headers = {"traceparent": f"00-{trace_id}-{caller}-01"}
    body = {"name": "a caller's", "type": "noop"}
    task_id = served.api.post("/tasks", json=body, headers=headers).json()["id"]
    served.wait_for(task_id)

    ((*spans,),) = traces_of(receiver, task_id)

    assert named(spans, "process default").trace_id == trace_id
    assert named(spans, "POST /api/v1/tasks").parent_id == caller


def test_task_of_an_unsampled_caller_is_not_sampled(served: System) -> None:
    headers = {"traceparent": f"00-{CALLER[0]}-{CALLER[1]}-00"}
    body = {"name": "unsampled", "type": "noop"}
    task_id = served.api.post("/tasks", json=body, headers=headers).json()["id"]
    served.wait_for(task_id)

    assert served.scalar("SELECT trace_context FROM task WHERE id = %s", task_id) is None
    assert served.scalar("SELECT trace_id FROM task_attempt WHERE task_id = %s", task_id) is None


def test_each_retry_is_a_trace_linked_to_the_one_before(served: System, receiver: OtlpReceiver) -> None:
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


def test_trace_of_a_scheduled_task_starts_where_it_fires(served: System, receiver: OtlpReceiver) -> None:
    body = {"name": "traced", "every_s": 86_400, "run_at_start": True, "task": {"type": "noop"}}
    assert served.api.post("/schedules", json=body).status_code == 201
    task_id = eventually(lambda: served.scalar("SELECT max(id) FROM task WHERE name = 'traced'"))
    served.wait_for(task_id)

    (spans,) = traces_of(receiver, task_id)

    fired = named(spans, "fire schedule")
    assert (fired.service, fired.parent_id) == ("taskcore-coordinator", None)
    assert named(spans, "relay default").parent_id == fired.span_id


@pytest.mark.parametrize(
    "trouble", [OtlpReceiver.hang, lambda receiver: receiver.respond_with(503)], ids=["silent", "503"]
)
def test_tasks_do_not_wait_for_a_failing_endpoint(
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
