"""The lock files of the images."""

from __future__ import annotations

import re

import pytest

from tests.containers.dependencies import locked_versions, required_packages
from tests.containers.dockerfiles import ROOT, SERVICES


@pytest.mark.parametrize("service", SERVICES)
def test_lock_contains_exactly_the_dependencies_of_its_service(service: str) -> None:
    needed = required_packages(service)

    held = locked_versions(service)

    assert held.keys() == needed


@pytest.mark.parametrize("name", [*SERVICES, "build"])
def test_images_get_the_tested_versions(name: str) -> None:
    tested = locked_versions("run")

    held = locked_versions(name)

    assert held.items() <= tested.items()


@pytest.mark.parametrize("name", [*SERVICES, "build", "reload"])
def test_every_version_has_hashes_and_no_lock_names_an_index(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()

    entries = re.split(r"\n(?=\S)", text.strip())

    assert all(re.fullmatch(r"\S+==\S+(?: ; [^\\]*)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+", e) for e in entries)


def test_api_image_has_no_broker_and_no_kubernetes_client() -> None:
    held = locked_versions("api").keys()

    assert not held & {"dramatiq", "pika", "kubernetes"}
    assert {"dramatiq", "pika"} <= locked_versions("worker").keys()
    assert "kubernetes" not in locked_versions("worker")
