"""compose.yaml, run as a project of its own: its containers, its published ports, and the traces that it sends."""

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
UP_S, DOWN_S = 600, 300


class Stack:
    """`api` asks the published port."""

    def __init__(self, engine: docker.DockerClient, images: str, version: str) -> None:
        self._engine = engine
        self._project = f"taskcore-test-{uuid4().hex[:12]}"
        self._ports = {"API_PORT": str(free_port()), "JAEGER_PORT": str(free_port())}
        passwords = {"POSTGRES_PASSWORD": uuid4().hex, "RABBITMQ_PASSWORD": uuid4().hex}
        self._environment = os.environ | {"IMAGES": images, "VERSION": version} | passwords | self._ports
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self._ports['API_PORT']}", trust_env=False, timeout=60)

    def up(self, reaper: Reaper) -> None:
        """Returns when every container is healthy, or has ended if it was to."""
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
        """Asserts that nothing has ended but the migration, which has ended well."""
        states = {container.name: container.attrs["State"] for container in self.containers()}
        ended = {name: state["ExitCode"] for name, state in states.items() if state["Status"] == "exited"}
        assert not any(ended.values()), ended
        assert all("migrate" in str(name) for name in ended), ended
        health = {name: state["Health"]["Status"] for name, state in states.items() if name not in ended}
        assert set(health.values()) == {"healthy"}, health
        return True

    def submit(self, tasks: Sequence[dict[str, Any]]) -> list[int]:
        """Answers their ids. It is repeated until the API has taken them, once."""
        key = uuid4().hex

        def is_taken() -> list[int]:
            try:
                answer = self.api.post("/api/v1/tasks/batch", json={"tasks": tasks}, headers={"Idempotency-Key": key})
            except httpx.TransportError as exc:
                raise AssertionError("the API did not answer") from exc
            assert answer.status_code in (200, 201), answer.text
            return [result["id"] for result in answer.json()["results"]]

        return eventually(is_taken, 180, poll_s=0.5, description="tasks taken by the API")

    def ask(self, path: str, **parameters: Any) -> Any:
        """Asserts that the API answers well."""
        try:
            answer = self.api.get(f"/api/v1{path}", params=parameters)
        except httpx.TransportError as exc:
            raise AssertionError("the API did not answer") from exc
        assert answer.status_code == 200, answer.text
        return answer.json()

    def spans(self, trace_id: str) -> list[Span]:
        """What the viewer was sent of a trace until now."""
        address = f"http://127.0.0.1:{self._ports['JAEGER_PORT']}/requests"
        received = decode_spans(httpx.get(address, trust_env=False).content)
        return [span for span in received if span.trace_id == trace_id]

    def page_of(self, trace_id: str) -> str:
        """Where the viewer shows a trace, from outside."""
        return f"http://127.0.0.1:{self._ports['JAEGER_PORT']}/trace/{trace_id}"

    def last_words(self) -> str:
        return "\n".join(f"{one.name}:\n{one.logs(tail=30).decode(errors='replace')}" for one in self.containers())

    def _compose(self, timeout_s: float, *arguments: str) -> None:
        files = [part for file in FILES for part in ("--file", str(ROOT / file))]
        place = ["--project-directory", str(ROOT), "--project-name", self._project]
        command = [*_compose_program(), *files, *place, *arguments]
        subprocess.run(command, cwd=ROOT, env=self._environment, check=True, timeout=timeout_s)


def _compose_program() -> list[str]:
    """The engine's own, or the one before it."""
    for program in (["docker", "compose"], ["docker-compose"]):
        try:
            if subprocess.run([*program, "version"], capture_output=True).returncode == 0:
                return program
        except FileNotFoundError:
            continue
    raise FileNotFoundError("neither `docker compose` nor `docker-compose` is here: it runs compose.yaml")
