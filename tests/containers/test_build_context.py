"""The build context: which files of a checkout a build receives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from docker.utils.build import exclude_paths

from tests.containers.dockerfiles import ROOT, SERVICES, stages, values


@pytest.fixture(scope="module")
def context() -> set[str]:
    """Return the files of the build context, relative to the repository."""
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    return {path for path in exclude_paths(str(ROOT), patterns) if (ROOT / path).is_file()}


def test_build_receives_packages_locks_and_the_install_script(context: set[str]) -> None:
    allowed = re.compile(
        r"(libs/taskcore|services/(api|worker|collector-analytics|collector-k8s))/(pyproject\.toml|src/.*)"
        r"|VERSION|requirements/[a-z0-9-]+\.txt|deploy/images/install|\.dockerignore|services/[a-z0-9-]+/Dockerfile"
    )

    strangers = {path for path in context if not allowed.fullmatch(path)}

    assert strangers == set()
    assert not {path for path in context if path.endswith(".pyc")}


@pytest.mark.parametrize("service", SERVICES)
def test_everything_that_a_build_copies_is_in_its_context(context: set[str], service: str) -> None:
    build, _ = stages(service)

    copied = [path for value in values(build, "COPY") for path in value.split()[:-1]]

    assert [path for path in copied if not _is_there(path, context)] == []


def _is_there(path: str, context: set[str]) -> bool:
    return path in context or any(Path(path) in Path(file).parents for file in context)
