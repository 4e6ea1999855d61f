"""CI runs the container tests where an engine is available, and says so where it is not."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.containers.dockerfiles import ROOT

#: Kinds of machines, by the behaviour of their `docker`. The file $UP is created by the command that starts an engine.
ENGINE = "exit 0"
NO_ENGINE = '[ "$1" != info ] || [ -e "$UP" ]'
NO_IMAGES = 'case "$1" in image | pull) [ -e "$UP" ] ;; esac'
NO_COMPOSE = '[ "$1" != compose ]'
TOOLS = ("bash", "cat", "dirname", "mktemp", "rm", "sh", "sleep", "timeout", "touch")


class Machine:
    """Return a PATH with `TOOLS`, a configurable fake `docker`, and a `make` that records its arguments."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for tool in TOOLS:
            (folder / tool).symlink_to(str(which(tool)))

    def has(self, program: str, script: str) -> None:
        file = self._folder / program
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def check(self, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": str(self._folder), "UP": str(self._folder / "up"), **variables}
        command = [str(ROOT / ".ci" / "containers")]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.has("make", 'echo "made $*"')
    return machine


def test_container_tests_run_where_an_engine_is_available(machine: Machine) -> None:
    machine.has("docker", ENGINE)

    checked = machine.check()

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "made test-containers\n", "")


@pytest.mark.parametrize(
    ("docker", "why"), [(NO_ENGINE, "no container engine"), (NO_IMAGES, "python:3.13"), (NO_COMPOSE, "compose")]
)
def test_missing_engine_is_reported_and_is_no_failure(machine: Machine, docker: str, why: str) -> None:
    machine.has("docker", docker)

    checked = machine.check()

    assert checked.returncode == 0
    assert "made" not in checked.stdout
    assert "NOT RUN" in checked.stderr
    assert why in checked.stderr


@pytest.mark.parametrize("docker", [NO_ENGINE, NO_IMAGES])
def test_configured_command_is_run_to_start_an_engine(machine: Machine, docker: str) -> None:
    machine.has("docker", docker)

    checked = machine.check(CONTAINERS_UP='touch "$UP"')

    assert (checked.returncode, checked.stderr) == (0, "")
    assert "made test-containers" in checked.stdout


def test_failing_container_tests_fail_the_run(machine: Machine) -> None:
    machine.has("docker", ENGINE)
    machine.has("make", "exit 2")

    checked = machine.check()

    assert checked.returncode == 2
    assert "NOT RUN" not in checked.stderr


def test_ci_run_ends_with_the_container_tests() -> None:
    steps = (ROOT / ".ci" / "run").read_text().splitlines()

    assert steps[-1] == ".ci/containers"
    assert os.access(ROOT / ".ci" / "containers", os.X_OK)
