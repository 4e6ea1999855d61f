"""Fixtures: a container engine, the images built from this checkout, and servers."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from uuid import uuid4

import docker
import pytest
from docker.models.containers import Container

from harness.rabbitmq.container import IMAGE as RABBITMQ
from harness.reaper import Reaper
from harness.waiting import eventually
from tests.containers.dockerfiles import ROOT, SERVICES
from tests.containers.engine.containers import Containers
from tests.containers.engine.image_layers import MARKER

POSTGRES = "postgres:18"
PASSWORD = "not-a-secret"
PREFIX = "taskcore-test-"


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """Yield the engine. Raise when none is available, since no test can run then."""
    with closing(docker.from_env(timeout=600)) as engine:
        engine.ping()
        yield engine


@pytest.fixture(scope="session")
def images(engine: docker.DockerClient) -> dict[str, str]:
    """Build the images as an operator does, and return their names by service."""
    indexes = f"{os.environ.get('PIP_EXTRA_INDEX_URL', '')} file:///{MARKER}/simple"
    command = ["make", "images", f"IMAGES={PREFIX}", "VERSION=test", "BUILD=--network host"]
    subprocess.run(command, cwd=ROOT, env=os.environ | {"PIP_EXTRA_INDEX_URL": indexes.strip()}, check=True)
    return {service: f"{PREFIX}{service}:test" for service in SERVICES}


@pytest.fixture(scope="session")
def network(engine: docker.DockerClient) -> Iterator[str]:
    network = engine.networks.create(f"{PREFIX}{uuid4().hex}")
    yield str(network.name)
    network.remove()


@pytest.fixture
def containers(engine: docker.DockerClient, network: str, reaper: Reaper) -> Iterator[Containers]:
    containers = Containers(engine, network, reaper)
    yield containers
    containers.kill_all()


@pytest.fixture(scope="session")
def servers(engine: docker.DockerClient, network: str, reaper: Reaper) -> Iterator[Containers]:
    for image in (POSTGRES, RABBITMQ):
        if not engine.images.list(image):
            engine.images.pull(image)
    servers = Containers(engine, network, reaper)
    yield servers
    servers.kill_all()


@pytest.fixture(scope="session")
def postgres(servers: Containers) -> Container:
    environment = {"POSTGRES_USER": "taskcore", "POSTGRES_PASSWORD": PASSWORD}
    server = servers.start(POSTGRES, name=_name("postgres"), environment=environment)
    ask = ["pg_isready", "--host", "127.0.0.1", "--username", "taskcore"]
    eventually(lambda: server.exec_run(ask).exit_code == 0, 300, description="PostgreSQL in a container")
    return server


@pytest.fixture(scope="session")
def rabbitmq(servers: Containers) -> Container:
    return servers.start(RABBITMQ, name=_name("rabbitmq"))


@pytest.fixture
def database(postgres: Container) -> str:
    """Return the URL of a new database without the schema."""
    name = f"test_{uuid4().hex}"
    code, output = postgres.exec_run(["createdb", "--username", "taskcore", name])
    assert code == 0, output
    return f"postgresql://taskcore:{PASSWORD}@{postgres.name}/{name}"


@pytest.fixture
def settings(containers: Containers, images: Mapping[str, str], database: str, rabbitmq: Container) -> dict[str, str]:
    """Return the settings of every service, with a migrated database."""
    settings = {"TASKCORE_DATABASE_URL": database, "TASKCORE_AMQP_URL": f"amqp://guest:guest@{rabbitmq.name}/%2F"}
    containers.run_and_read(images["worker"], "taskcore", "db", "upgrade", environment=settings)
    return settings


def _name(server: str) -> str:
    """Return a container name, by which the others find it on the network."""
    return f"{PREFIX}{server}-{uuid4().hex}"
