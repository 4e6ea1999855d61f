"""The health check of the images."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from harness.ports import free_port
from taskcore.observability.health import HealthServer
from taskcore.probe import DEFAULT_PORTS
from taskcore.settings import HealthSettings, Settings


@pytest.fixture
def readiness() -> list[bool]:
    """Whether the process is ready: the last item."""
    return [True]


@pytest.fixture
def port(readiness: list[bool]) -> Iterator[int]:
    settings = HealthSettings(port=free_port())
    server = HealthServer(settings, CollectorRegistry(), lambda: readiness[-1])
    server.start()
    yield settings.port
    server.stop()


def probe(section: str, port: int) -> int:
    variable = f"TASKCORE_{section.upper()}__PORT"
    command = [sys.executable, "-m", "taskcore.probe", section]
    return subprocess.run(command, env={variable: str(port)}, timeout=60).returncode


@pytest.mark.parametrize("section", DEFAULT_PORTS)
def test_process_is_healthy_if_it_is_ready(section: str, port: int, readiness: list[bool]) -> None:
    while_ready = probe(section, port)
    readiness.append(False)
    while_not = probe(section, port)

    assert (while_ready, while_not) == (0, 1)


def test_process_that_does_not_respond_is_unhealthy_unless_its_port_is_zero() -> None:
    free = free_port()

    assert probe("health", free) == 1
    assert probe("health", 0) == 0


def test_probe_knows_the_default_ports() -> None:
    settings = Settings()

    assert {"api": settings.api.port, "health": settings.health.port} == DEFAULT_PORTS


def test_probe_imports_no_other_distribution() -> None:
    seen = "import sys, taskcore.probe; print(*{name.partition('.')[0] for name in sys.modules})"

    found = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout.split()

    assert not {"pydantic", "sqlalchemy", "msgspec", "httpx", "prometheus_client"} & set(found)
