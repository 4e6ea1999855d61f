"""compose.yaml as a separate project: its containers, its published ports, and the traces that it sends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import docker
import httpx
from docker.models.containers import Container

from harness.otlp_receiver import Span, decode_spans
from harness.ports import free_port
from harness.reaper import Reaper
from harness.waiting import eventually
from tests.containers.dockerfiles import ROOT

FILES = ("compose.yaml", "tests/containers/engine/compose.yaml")
PASSWORDS = ("POSTGRES_PASSWORD", "DATABASE_OWNER_PASSWORD", "DATABASE_PASSWORD", "RABBITMQ_PASSWORD")
UP_S, DOWN_S = 600, 300


class Stack:
    """A running project. `api` is a client of the published port."""

    def __init__(self, engine: docker.DockerClient, images: str, version: str) -> None:
        self._engine = engine
        self._project = f"taskcore-test-{uuid4().hex[:12]}"
        self._ports = {"API_PORT": str(free_port()), "JAEGER_PORT": str(free_port())}
        passwords = {name: uuid4().hex for name in PASSWORDS}
        self._environment = os.environ | {"IMAGES": images, "VERSION": version} | passwords | self._ports
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self._ports['API_PORT']}", trust_env=False, timeout=60)

    def up(self, reaper: Reaper) -> None:
        """Start all containers. Return when each is healthy, or has finished if it is a one-shot."""
        try:
            self._compose(UP_S, "up", "--detach", "--no-build")
        finally:
            for container in self.containers():
                reaper.watch_container(str(container.id))
        eventually(self.is_healthy, 300, poll_s=0.5, description="every container being healthy")

    def down(self) -> None:
        self.api.close()
        self._compose(DOWN_S, "down", "--volumes", "--remove-orphans", "--timeout", "60")

    def containers(self, service: str | None = None) -> list[Container]:
        labels = [f"com.docker.compose.project={self._project}"]
        if service is not None:
            labels.append(f"com.docker.compose.service={service}")
        found: list[Container] = self._engine.containers.list(all=True, filters={"label": labels})
        return found

    def container(self, service: str) -> Container:
        (container,) = self.containers(service)
        return container

    def is_healthy(self) -> bool:
        """Assert that only the migration has ended, successfully; return whether the rest is healthy."""
        states = {container.name: container.attrs["State"] for container in self.containers()}
        ended = {name: state["ExitCode"] for name, state in states.items() if state["Status"] == "exited"}
        assert not any(ended.values()), ended
        assert all("migrate" in str(name) for name in ended), ended
        health = {name: state["Health"]["Status"] for name, state in states.items() if name not in ended}
        assert set(health.values()) == {"healthy"}, health
        return True

    def submit(self, tasks: Sequence[dict[str, Any]]) -> list[int]:
        """Submit tasks and return their ids. The request is repeated until accepted, which happens once."""
        key = uuid4().hex

        def is_accepted() -> list[int]:
            try:
                response = self.api.post("/api/v1/tasks/batch", json={"tasks": tasks}, headers={"Idempotency-Key": key})
            except httpx.TransportError as exc:
                raise AssertionError("the API did not respond") from exc
            assert response.status_code in (200, 201), response.text
            return [result["id"] for result in response.json()["results"]]

        return eventually(is_accepted, 180, poll_s=0.5, description="tasks accepted by the API")

    def ask(self, path: str, **parameters: Any) -> Any:
        """Return the JSON of a successful response."""
        try:
            response = self.api.get(f"/api/v1{path}", params=parameters)
        except httpx.TransportError as exc:
            raise AssertionError("the API did not respond") from exc
        assert response.status_code == 200, response.text
        return response.json()

    def spans(self, trace_id: str) -> list[Span]:
        """Return the spans of a trace that the viewer has received so far."""
        address = f"http://127.0.0.1:{self._ports['JAEGER_PORT']}/requests"
        received = decode_spans(httpx.get(address, trust_env=False).content)
        return [span for span in received if span.trace_id == trace_id]

    def page_of(self, trace_id: str) -> str:
        """Return the URL of a trace in the viewer."""
        return f"http://127.0.0.1:{self._ports['JAEGER_PORT']}/trace/{trace_id}"

    def log_tail(self) -> str:
        return "\n".join(f"{one.name}:\n{one.logs(tail=30).decode(errors='replace')}" for one in self.containers())

    def _compose(self, timeout_s: float, *arguments: str) -> None:
        files = [part for file in FILES for part in ("--file", str(ROOT / file))]
        place = ["--project-directory", str(ROOT), "--project-name", self._project]
        command = [*_compose_program(), *files, *place, *arguments]
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True, timeout=timeout_s)


def _compose_program() -> list[str]:
    """Return the Compose command: the plugin, or the standalone program."""
    for program in (["docker", "compose"], ["docker-compose"]):
        try:
            if subprocess.run([*program, "version"], capture_output=True).returncode == 0:
                return program
        except FileNotFoundError:
            continue
    raise FileNotFoundError("neither `docker compose` nor `docker-compose` is here: it runs compose.yaml")
