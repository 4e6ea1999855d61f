"""The images of compose.dev.yaml: a service restarts when one of its mounted sources changes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.waiting import eventually
from tests.containers.dockerfiles import ROOT
from tests.containers.engine.containers import Containers, stop, wait_until_healthy

SOURCES = {"/src/taskcore": "libs/taskcore/src", "/src/service": "services/api/src"}


@pytest.fixture(scope="module")
def development() -> dict[str, Any]:
    """Return the definition of the API in the file."""
    service: dict[str, Any] = yaml.safe_load((ROOT / "compose.dev.yaml").read_text())["services"]["api"]
    return service


@pytest.fixture(scope="module")
def reloading_image(images: Mapping[str, str], development: dict[str, Any]) -> str:
    name = images["api"].replace(":", "-dev:")
    arguments = {"IMAGE": images["api"], "PIP_EXTRA_INDEX_URL": os.environ.get("PIP_EXTRA_INDEX_URL", "")}
    command = ["docker", "build", "--quiet", "--network", "host", "--file", development["build"]["dockerfile"]]
    command += [part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")]
    subprocess.run([*command, "--tag", name, "."], cwd=ROOT, check=True)
    return name


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """Return copies of the sources, which the test may change."""
    for place, path in SOURCES.items():
        copy = tmp_path / place.removeprefix("/src/")
        shutil.copytree(ROOT / path, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_changed_source_restarts_its_service(
    containers: Containers,
    reloading_image: str,
    development: dict[str, Any],
    sources: Path,
    settings: Mapping[str, str],
) -> None:
    mounts = {str(sources / place.removeprefix("/src/")): {"bind": place, "mode": "ro"} for place in SOURCES}
    environment = dict(settings) | {key: str(value) for key, value in development["environment"].items()}
    container = containers.start_restricted(
        reloading_image, development["command"], environment=environment, volumes=mounts, tmpfs={"/tmp": ""}
    )
    wait_until_healthy(container)

    with (sources / "service" / "taskapi" / "__init__.py").open("a") as file:
        file.write('\nprint("reloaded", flush=True)\n')

    eventually(lambda: b"reloaded" in container.logs(), description="the changed source being read")
    asked = ["python", "-m", "taskcore.probe"]
    eventually(lambda: container.exec_run(asked).exit_code == 0, description="the service being ready again")
    assert stop(container) == 0
