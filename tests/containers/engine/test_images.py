"""The contents of the images."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping

import docker
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.containers.dependencies import IN_IMAGE, locked_versions
from tests.containers.dockerfiles import ROOT, SERVICES
from tests.containers.engine.containers import Containers
from tests.containers.engine.image_layers import MARKER, iter_files

OWN = {"api": "taskapi", "worker": "taskworker"}
#: Prints what is installed, and what that requires.
LOOK_AROUND = """
import json, re, sysconfig
from importlib import metadata
found = list(metadata.distributions(path=[sysconfig.get_path("purelib")]))
versions = {re.sub("[-_.]+", "-", one.metadata["Name"]).lower(): one.version for one in found}
print(json.dumps({"versions": versions, "required": [text for one in found for text in one.requires or ()]}))
"""


@pytest.mark.parametrize("service", SERVICES)
def test_image_contains_only_locked_and_own_packages(
    containers: Containers, images: Mapping[str, str], service: str
) -> None:
    expected = locked_versions(service).keys() | {"taskcore", OWN.get(service, service)}

    versions = json.loads(containers.run_and_read(images[service], "python", "-c", LOOK_AROUND))["versions"]

    assert versions.keys() == expected
    assert locked_versions(service).items() <= versions.items()


@pytest.mark.parametrize("service", SERVICES)
def test_installed_packages_are_compatible(containers: Containers, images: Mapping[str, str], service: str) -> None:
    reported = json.loads(containers.run_and_read(images[service], "python", "-c", LOOK_AROUND))

    assert list(_unmet(reported["required"], reported["versions"])) == []


@pytest.mark.parametrize("service", SERVICES)
def test_image_labels_name_version_and_revision(
    engine: docker.DockerClient, images: Mapping[str, str], service: str
) -> None:
    revision = subprocess.run(
        ["git", "describe", "--always", "--abbrev=40", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()

    labels = engine.images.get(images[service]).labels

    assert labels["org.opencontainers.image.version"] == "test"
    assert labels["org.opencontainers.image.revision"] == revision


@pytest.mark.parametrize("service", SERVICES)
def test_image_does_not_contain_the_package_index(
    engine: docker.DockerClient, images: Mapping[str, str], service: str
) -> None:
    image = engine.images.get(images[service])
    with_password = [layer for layer, content in iter_files(image.save()) if MARKER.encode() in content]

    assert with_password == []
    assert MARKER not in json.dumps([image.history(), image.attrs])


def _unmet(required: list[str], versions: Mapping[str, str]) -> Iterator[str]:
    for requirement in map(Requirement, required):
        if requirement.marker is None or requirement.marker.evaluate({**IN_IMAGE, "extra": ""}):
            version = versions.get(canonicalize_name(requirement.name))
            if version is None or not requirement.specifier.contains(version, prereleases=True):
                yield str(requirement)
