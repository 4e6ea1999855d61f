"""The Dockerfiles: equal except for names, and no build tools remain in an image."""

from __future__ import annotations

import json
import shlex
import tomllib

import pytest

from taskcore.probe import DEFAULT_PORT
from tests.containers.dockerfiles import ROOT, SERVICES, read_instructions, stages, values


@pytest.mark.parametrize("service", SERVICES)
def test_two_stages_share_a_configurable_base(service: str) -> None:
    first, *_ = read_instructions(service)

    bases = [stage[0].value for stage in stages(service)]

    assert (first.keyword, first.value) == ("ARG", "BASE=python:3.13-slim-bookworm")
    assert bases == ["${BASE} AS build", "${BASE}"]


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_first_stage_gets_the_package_index(service: str) -> None:
    build, image = stages(service)

    assert values(build, "ARG") == ["PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"]
    assert values(image, "ARG") == ["VERSION", "REVISION"]


@pytest.mark.parametrize("service", SERVICES)
def test_image_starts_its_program_unprivileged_and_without_a_shell(service: str) -> None:
    _, image = stages(service)
    scripts = tomllib.loads((ROOT / f"services/{service}/pyproject.toml").read_text())["project"]["scripts"]

    (entrypoint,) = values(image, "ENTRYPOINT")
    (user,) = values(image, "USER")

    assert json.loads(entrypoint) == ["python", "-m", "taskcore.init", *scripts]
    assert user == "10001:10001"


@pytest.mark.parametrize("service", SERVICES)
def test_image_listens_on_all_addresses_of_both_families(service: str) -> None:
    _, image = stages(service)
    serves = {"api": {"API": 8080, "HEALTH": DEFAULT_PORT}}.get(service, {"HEALTH": DEFAULT_PORT})

    (check,) = values(image, "HEALTHCHECK")
    environment = " ".join(values(image, "ENV"))

    assert json.loads(check.partition("CMD ")[2]) == ["python", "-m", "taskcore.probe"]
    assert values(image, "EXPOSE") == [" ".join(map(str, serves.values()))]
    assert {f"TASKCORE_{section}__HOST=::" for section in serves} <= set(shlex.split(environment))


@pytest.mark.parametrize("service", SERVICES[1:])
def test_dockerfiles_differ_only_in_names(service: str) -> None:
    named = ("ENTRYPOINT", "CMD", "LABEL", "EXPOSE", "HEALTHCHECK", "ENV")

    first, other = (
        [
            (one.keyword, one.value.replace(name, "SERVICE"))
            for one in read_instructions(name)
            if one.keyword not in named
        ]
        for name in ("api", service)
    )

    assert first == other
