"""Containers, started with minimal privileges and killed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import docker
from docker.models.containers import Container

from harness.reaper import Reaper
from harness.waiting import eventually

#: Prints the state letter of every process in a container.
STATES = ["sh", "-c", "cat /proc/[0-9]*/status | sed -n 's/^State:\\t\\(.\\).*/\\1/p'"]


class Containers:
    """The containers of one test or of the session, on one network."""

    def __init__(self, engine: docker.DockerClient, network: str, reaper: Reaper) -> None:
        self._engine = engine
        self._network = network
        self._reaper = reaper
        self._started: list[Container] = []

    def start(self, image: str, command: Sequence[str] = (), **options: Any) -> Container:
        container = self._engine.containers.create(image, list(command) or None, network=self._network, **options)
        self._reaper.watch_container(str(container.id))
        self._started.append(container)
        container.start()
        return container

    def start_restricted(self, image: str, command: Sequence[str] = (), **options: Any) -> Container:
        """Start a container without capabilities that can write only to its `tmpfs` mounts."""
        rights = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
        return self.start(image, command, **rights, **options)

    def run_and_read(self, image: str, entrypoint: str, *arguments: str, **options: Any) -> str:
        """Run a program that must succeed, and return its output."""
        container = self.start_restricted(image, arguments, entrypoint=[entrypoint], **options)
        code = container.wait()["StatusCode"]
        output = container.logs().decode(errors="replace")
        assert code == 0, output
        return output

    def kill_all(self) -> None:
        for container in self._started:
            container.reload()
            if container.status == "running":
                container.kill()
                container.wait()


def wait_until_healthy(container: Container) -> None:
    """Wait until the container is healthy. Raise RuntimeError when it ends instead."""

    def is_healthy() -> bool:
        container.reload()
        if container.status != "running":
            raise RuntimeError(log_tail(container))
        return bool(container.attrs["State"]["Health"]["Status"] == "healthy")

    eventually(is_healthy, 180, poll_s=0.5, description=f"{container.image} being healthy")


def has_zombies(container: Container) -> bool:
    _, output = container.exec_run(STATES)  # its exit code only says that some process ended meanwhile
    assert output
    return b"Z" in output


def stop(container: Container) -> int:
    """Stop the container and return its exit code."""
    container.stop(timeout=100)
    container.reload()
    return int(container.attrs["State"]["ExitCode"])


def log_tail(container: Container) -> str:
    return container.logs()[-4000:].decode(errors="replace")
