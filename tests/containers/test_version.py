"""The file VERSION is the only version number; what cannot read it agrees with it."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.containers.dockerfiles import ROOT

VERSION = (ROOT / "VERSION").read_text().strip()
PROJECTS = [*ROOT.glob("libs/*/pyproject.toml"), *ROOT.glob("services/*/pyproject.toml")]


def test_packages_read_their_version_from_the_file() -> None:
    configurations = [tomllib.loads(file.read_text()) for file in PROJECTS]

    assert len(configurations) == 7
    assert all(one["project"]["dynamic"] == ["version"] for one in configurations)
    assert {one["tool"]["hatch"]["version"]["path"] for one in configurations} == {"../../VERSION"}


@pytest.mark.parametrize("file", ["compose.yaml", "compose.dev.yaml"])
def test_default_of_compose_is_the_version(file: str) -> None:
    defaults = re.findall(r"\$\{VERSION:-([^}]*)\}", (ROOT / file).read_text())

    assert set(defaults) == {VERSION}


def test_documentation_names_images_of_the_version() -> None:
    named = re.findall(r"taskcore-[a-z0-9-]+:(\d[\w.]*)", (ROOT / "docs/containers.md").read_text())

    assert set(named) == {VERSION}
