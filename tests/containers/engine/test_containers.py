"""The running images, with minimal privileges."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from docker.models.containers import Container

from harness.ports import free_port
from harness.waiting import eventually
from tests.containers.dockerfiles import SERVICES
from tests.containers.engine.containers import Containers, has_zombies, log_tail, stop, wait_until_healthy

#: Each kind of process: its image and its arguments. One of them needs a place for files.
PROCESSES = {
    "api": ("api", ()),
    "worker": ("worker", ()),
    "coordinator": ("worker", ("coordinate",)),
    "collector-analytics": ("collector-analytics", ()),
    "collector-k8s": ("collector-k8s", ()),
}
ACCOUNT = ["sh", "-c", "echo $(id -u):$(id -g)"]
ORPHAN = ["sh", "-c", "sleep 0.1 & exit 0"]


def start(
    containers: Containers, images: Mapping[str, str], process: str, settings: Mapping[str, str], **options: Any
) -> Container:
    image, command = PROCESSES[process]
    place = {"tmpfs": {"/tmp": ""}} if process == "worker" else {}
    return containers.start_restricted(images[image], command, environment=dict(settings), **place, **options)


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_can_migrate_the_database(
    containers: Containers, images: Mapping[str, str], database: str, service: str
) -> None:
    environment = {"TASKCORE_DATABASE_URL": database}

    containers.run_and_read(images[service], "taskcore", "db", "upgrade", environment=environment)

    containers.run_and_read(images[service], "taskcore", "db", "check", environment=environment)


@pytest.mark.parametrize("process", PROCESSES)
def test_unprivileged_container_is_healthy_and_stops_gracefully(
    containers: Containers, images: Mapping[str, str], settings: Mapping[str, str], process: str
) -> None:
    container = start(containers, images, process, settings)

    wait_until_healthy(container)
    account = container.exec_run(ACCOUNT).output
    code = stop(container)

    assert account == b"10001:10001\n"
    assert code == 0, log_tail(container)


def test_orphans_are_reaped(containers: Containers, images: Mapping[str, str], settings: Mapping[str, str]) -> None:
    container = start(containers, images, "coordinator", settings)
    wait_until_healthy(container)

    for _ in range(5):
        container.exec_run(ORPHAN)

    eventually(lambda: not has_zombies(container), 60, description="no process that is dead and still there")


def test_container_stops_while_it_is_starting(
    containers: Containers, images: Mapping[str, str], settings: Mapping[str, str]
) -> None:
    container = start(containers, images, "collector-k8s", settings)

    eventually(
        lambda: len(container.top()["Processes"]) > 1, description="the first process having started the service"
    )
    code = stop(container)

    assert code in (0, 128 + signal.SIGTERM), log_tail(container)


def test_task_passes_through_the_containers(
    containers: Containers, images: Mapping[str, str], settings: Mapping[str, str]
) -> None:
    port = free_port()
    commands = {"TASKCORE_COMMANDS": '{"leave": {"argv": ["/bin/sh", "-c", "sleep 30 & exit 0"]}}'}
    api = start(containers, images, "api", settings, ports={"8080/tcp": ("127.0.0.1", port)})
    worker = start(containers, images, "worker", {**settings, **commands})
    for container in (api, start(containers, images, "coordinator", settings), worker):
        wait_until_healthy(container)

    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", trust_env=False, timeout=60) as client:
        body = {"name": "leaves a process", "type": "run_command", "parameters": {"command": "leave"}}
        location = client.post("/tasks", json=body).raise_for_status().headers["Location"]
        task_id = location.rpartition("/")[2]
        ended = client.get(f"/tasks/{task_id}/wait", params={"timeout": 50}).raise_for_status().json()

    assert ended["status"] == "succeeded", ended
    eventually(lambda: not has_zombies(worker), 60, description="nothing left of the command")
