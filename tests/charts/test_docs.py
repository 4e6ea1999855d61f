"""docs/helm.md is correct: its commands install all services, and its values exist."""

from __future__ import annotations

import re
import shlex
from typing import Any

import helm_python
import pytest
import yaml

from tests.charts.rendering import CHART, ROOT, SERVICES, Values, merge_values, render
from tests.charts.schemas import VERSIONS

TEXT = (ROOT / "docs/helm.md").read_text()
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
INSTALLATIONS = re.findall(r"^helm upgrade --install ((?:.*\\\n)*.*)$", TEXT, re.M)


def values_of(command: str) -> Values:
    words = shlex.split(command.replace("\\\n", " "))
    given = [words[n + 1] for n, word in enumerate(words) if word == "--set"]
    return merge_values(*map(helm_python.parse_set_string, given))


def value_at(path: str) -> Any:
    found: Any = VALUES
    for part in path.split("."):
        assert part in found, path
        found = found[part]
    return found


@pytest.mark.parametrize("command", INSTALLATIONS)
def test_documented_commands_install_all_services(command: str) -> None:
    rendered = render(values_of(command))

    assert len(INSTALLATIONS) == 2
    assert len(rendered.of_kind("Deployment")) == len(SERVICES)


def test_documented_secret_is_the_one_in_use() -> None:
    created = re.search(r"create secret generic (\S+)", TEXT)
    keys = re.findall(r"--from-literal=(\w+)=", TEXT)
    given = values_of(INSTALLATIONS[0])["global"]

    assert created is not None
    assert {given[server]["existingSecret"] for server in ("database", "amqp")} == {created[1]}
    assert keys == [value_at("global.database.key"), value_at("global.amqp.key")]


def test_documented_values_exist() -> None:
    sections = "|".join((*VALUES, "SERVICE"))
    named = set(re.findall(rf"`((?:{sections})(?:\.[a-zA-Z]+)+)(?:=[^`]*)?`", TEXT))

    assert len(named) > 25
    for path in named:
        value_at(path.replace("SERVICE", "worker"))


def test_documented_kubernetes_versions_are_the_tested_ones() -> None:
    tried = TEXT.partition("## What was tried")[2].replace("\n", " ")

    assert f"Helm {helm_python.helm_sdk_version().removeprefix('v')} as a library" in tried
    assert f"schemas of {' and '.join(VERSIONS)}" in tried
