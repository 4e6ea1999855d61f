"""The whole of compose.yaml: each task is done once, whatever is killed or restarted, and its trace can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import pytest

from harness.reaper import Reaper
from harness.waiting import eventually
from tests.containers.engine.conftest import PREFIX
from tests.containers.engine.containers import wait_until_healthy
from tests.containers.engine.stack import Stack

TRACEPARENT = "00-{trace_id}-00f067aa0ba902b7-01"


@pytest.fixture(scope="module")
def stack(engine: docker.DockerClient, images: Mapping[str, str], reaper: Reaper) -> Iterator[Stack]:
    assert all(image.startswith(PREFIX) for image in images.values())
    stack = Stack(engine, PREFIX, "test")
    try:
        stack.up(reaper)
        yield stack
    except BaseException:
        print(stack.log_tail())
        raise
    finally:
        stack.down()


def tasks(count: int, batch: str, seconds: float) -> list[dict[str, Any]]:
    """Return task definitions with distinct names."""
    return [
        {"name": f"{batch} {n}", "type": "sleep", "parameters": {"seconds": seconds}, "labels": {"batch": batch}}
        for n in range(count)
    ]


def test_trace_of_a_task_covers_all_containers(stack: Stack) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    body = {"name": "traced", "type": "noop"}
    headers = {"traceparent": TRACEPARENT.format(trace_id=trace_id)}

    task = stack.api.post("/api/v1/tasks", json=body, headers=headers).raise_for_status().json()
    ended = stack.ask(f"/tasks/{task['id']}/wait", timeout=60)

    assert ended["status"] == "succeeded", ended
    expected = {
        ("taskcore-api", "POST /api/v1/tasks"): "SERVER",
        ("taskcore-coordinator", "relay default"): "INTERNAL",
        ("taskcore-coordinator", "publish default"): "PRODUCER",
        ("taskcore-worker", "wait in default"): "INTERNAL",
        ("taskcore-worker", "process default"): "CONSUMER",
        ("taskcore-worker", "claim"): "CLIENT",
        ("taskcore-worker", "run noop"): "INTERNAL",
        ("taskcore-worker", "settle"): "CLIENT",
    }

    def have_arrived() -> bool:
        kinds = {(span.service, span.name): span.kind for span in stack.spans(trace_id)}
        assert kinds.items() >= expected.items()
        return True

    eventually(have_arrived, description="the spans of all containers")
    names = {span.span_id: span.name for span in stack.spans(trace_id)}
    parents = {span.name: names.get(span.parent_id or "") for span in stack.spans(trace_id)}
    assert parents["publish default"] == "relay default"
    assert parents["process default"] == "publish default"
    assert {parents[name] for name in ("claim", "run noop", "settle")} == {"process default"}
    assert {parents[name] for name in ("relay default", "wait in default")} == {"POST /api/v1/tasks"}
    _assert_trace_is_shown(stack, ended, set(names.values()))


def test_tasks_are_done_once_despite_a_killed_worker_and_restarted_servers(stack: Stack) -> None:
    given = tasks(40, "before", 3)
    ids = stack.submit(given)

    killed, held = _kill_a_worker_that_has_tasks(stack)
    more = tasks(40, "while the broker is away", 0.5)
    stack.container("rabbitmq").restart(timeout=60)
    ids += stack.submit(more)
    last = tasks(40, "while the database is away", 0.5)
    stack.container("postgres").restart(timeout=60)
    ids += stack.submit(last)
    killed.start()

    eventually(lambda: _is_over(stack, ids), 300, poll_s=1, description="all tasks being over")
    done = [stack.ask(f"/tasks/{task_id}") for task_id in ids]
    assert Counter(task["status"] for task in done) == {"succeeded": 120}
    assert [task["name"] for task in done] == [task["name"] for task in given + more + last]
    for batch in ("before", "while the broker is away", "while the database is away"):
        assert stack.ask("/tasks", label=f"batch={batch}", limit=1)["total"] == 40
    assert {task["failures"] for task in done} == {0}
    _require_plausible_attempts(stack, ids, held)
    wait_until_healthy(killed)
    eventually(stack.is_healthy, 120, poll_s=0.5, description="every container being healthy again")


def _assert_trace_is_shown(stack: Stack, task: dict[str, Any], names: set[str]) -> None:
    """Assert that the API links to the viewer and returns the trace from there."""
    shown = stack.ask(f"/tasks/{task['id']}/trace")
    (trace,) = shown["traces"]

    assert shown["source"] == "viewer"
    assert {span["name"] for span in trace["spans"]} >= names  # more may have arrived since
    assert trace["url"] == task["trace_url"] == stack.page_of(trace["trace_id"])


def _kill_a_worker_that_has_tasks(stack: Stack) -> tuple[Any, set[int]]:
    """Kill a worker with running tasks; return its container and the ids of those tasks."""
    workers = {container.attrs["Config"]["Hostname"]: container for container in stack.containers("worker")}

    def at_work() -> tuple[Any, set[int]] | None:
        hosts = {worker["id"]: worker["host"] for worker in stack.ask("/workers")["items"]}
        running = stack.ask("/tasks", status="running", label="batch=before")["items"]
        for container in workers.values():
            held = {one["id"] for one in running if workers.get(hosts[one["worker_id"]]) is container}
            if held:
                return container, held
        return None

    found = eventually(at_work, description="a worker with tasks")
    assert found is not None
    found[0].kill()
    return found


def _is_over(stack: Stack, ids: list[int]) -> bool:
    waiting = ["scheduled", "queued", "running", "retrying"]
    return {task["id"] for task in stack.ask("/tasks", status=waiting, limit=200)["items"]}.isdisjoint(ids)


def _require_plausible_attempts(stack: Stack, ids: list[int], held: set[int]) -> None:
    """Assert that each task succeeded in its last attempt only, and that the killed worker's tasks were restarted."""
    for task_id in ids:
        outcomes = [attempt["outcome"] for attempt in stack.ask(f"/tasks/{task_id}/attempts")["items"]]
        assert outcomes[-1] == "succeeded"
        assert outcomes.count("succeeded") == 1
        assert len(outcomes) <= 4, outcomes
        assert task_id not in held or len(outcomes) > 1, outcomes
