"""The health check of the images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from harness.ports import free_port
from taskcore.observability.health import HealthServer
from taskcore.probe import DEFAULT_PORT
from taskcore.settings import HealthSettings, Settings


@pytest.fixture
def readiness() -> list[bool]:
    """Whether the process is ready: the last item."""
    return [True]


@pytest.fixture(params=["127.0.0.1", "::1", "::"])
def settings(readiness: list[bool], request: pytest.FixtureRequest) -> Iterator[HealthSettings]:
    settings = HealthSettings(host=request.param, port=free_port())
    server = HealthServer(settings, CollectorRegistry(), lambda: readiness[-1])
    server.start()
    yield settings
    server.stop()


def probe(settings: HealthSettings) -> int:
    env = {"TASKCORE_HEALTH__HOST": settings.host, "TASKCORE_HEALTH__PORT": str(settings.port)}
    return subprocess.run([sys.executable, "-m", "taskcore.probe"], env=env, timeout=60).returncode


def test_process_is_healthy_if_it_is_ready(settings: HealthSettings, readiness: list[bool]) -> None:
    while_ready = probe(settings)
    readiness.append(False)
    while_not = probe(settings)

    assert (while_ready, while_not) == (0, 1)


def test_process_that_does_not_respond_is_unhealthy_unless_its_port_is_zero() -> None:
    assert probe(HealthSettings(port=free_port())) == 1
    assert probe(HealthSettings(port=0)) == 0


def test_probe_knows_the_default_port() -> None:
    assert Settings().health.port == DEFAULT_PORT


def test_probe_imports_no_other_distribution() -> None:
    seen = "import sys, taskcore.probe; print(*{name.partition('.')[0] for name in sys.modules})"

    found = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()

    assert not {"pydantic", "sqlalchemy", "msgspec", "httpx", "prometheus_client"} & set(found)
