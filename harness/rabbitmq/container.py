"""A private RabbitMQ in a container, for machines with a Docker engine but no `rabbitmq-server`."""

from __future__ import annotations

import docker
from docker.errors import DockerException

from harness.ports import free_port
from harness.rabbitmq.management import ManagementApi
from harness.reaper import Reaper
from harness.waiting import eventually

IMAGE = "rabbitmq:4-management"


def docker_engine() -> docker.DockerClient | None:
    """Return the Docker engine, or None when it is not available."""
    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException:
        return None
    return engine


class RabbitMQContainer:
    def __init__(self, engine: docker.DockerClient, reaper: Reaper, erlang_arguments: str = "") -> None:
        self._port, self._management_port = free_port(), free_port()
        self._container = engine.containers.create(
            engine.images.pull(IMAGE),
            environment={"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang_arguments},
            hostname="rabbitmq",  # the node, and so its data, is named after the host
            ports={"5672/tcp": ("127.0.0.1", self._port), "15672/tcp": ("127.0.0.1", self._management_port)},
        )
        reaper.watch_container(str(self._container.id))
        self.management = ManagementApi(self.amqp_url, f"http://127.0.0.1:{self._management_port}")

    @property
    def amqp_url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._port}/%2F"

    def start(self) -> None:
        self._container.start()
        eventually(lambda: self.management.is_available, 300, description="RabbitMQ in a container")

    def stop(self) -> None:
        self._container.stop(timeout=120)

    def kill(self) -> None:
        self._container.reload()
        if self._container.status == "running":
            self._container.kill()

    def rabbitmqctl(self, *arguments: str) -> str:
        code, output = self._container.exec_run(["rabbitmqctl", "--quiet", *arguments])
        assert isinstance(output, bytes)
        assert code == 0, f"rabbitmqctl {arguments} ended with {code}:\n{output.decode()}"
        return output.decode()
