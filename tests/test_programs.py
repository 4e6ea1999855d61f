"""What every program knows: `--help`, `--version`, and that it refuses other arguments."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import collector_analytics.__main__
import collector_k8s.__main__
import taskapi.__main__
import taskclient.cli.program
import taskcore.__main__
import taskstandalone.__main__
import taskworker.__main__
from taskcore.service_main import REVISION_VARIABLE, describe_version

VERSION = (Path(__file__).parents[1] / "VERSION").read_text().strip()
PROGRAMS: dict[str, click.Command] = {
    "taskapi": taskapi.__main__.run,
    "taskworker": taskworker.__main__.cli,
    "collector-analytics": collector_analytics.__main__.run,
    "collector-k8s": collector_k8s.__main__.cli,
    "taskcore": taskcore.__main__.program,
    "taskcore-standalone": taskstandalone.__main__.run,
    "task-cli": taskclient.cli.program.program,
}


def test_every_program_is_known() -> None:
    packages = {command.callback.__module__.partition(".")[0] for command in PROGRAMS.values() if command.callback}
    scripts = {
        script.name for script in entry_points(group="console_scripts") if script.module.partition(".")[0] in packages
    }

    assert scripts == PROGRAMS.keys()


@pytest.mark.parametrize("name", PROGRAMS)
def test_help_and_version_are_shown(name: str) -> None:
    for option, expected in (
        ("--help", rf"Usage: {name} \[OPTIONS\][\s\S]+--version"),
        ("--version", rf"{name} {re.escape(VERSION)}( \(commit [0-9a-f]+(-dirty)?\))?\n"),
    ):
        result = CliRunner().invoke(PROGRAMS[name], [option], prog_name=name)

        assert result.exit_code == 0
        assert re.match(expected, result.stdout)


@pytest.mark.parametrize("argument", ["--nope", "nope"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_an_unknown_argument_exits_with_2(name: str, argument: str) -> None:
    result = CliRunner().invoke(PROGRAMS[name], [argument], prog_name=name)

    assert result.exit_code == 2
    assert "nope" in result.stderr


@pytest.mark.parametrize(("given", "status"), [(["--help"], 0), (["--version"], 0), (["db", "nope"], 2), (["db"], 2)])
def test_taskcore_returns_the_exit_status(given: list[str], status: int) -> None:
    assert taskcore.__main__.main(given) == status


def test_the_commit_of_an_image_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REVISION_VARIABLE, "1a2b3c")

    assert describe_version() == f"{VERSION} (commit 1a2b3c)"


def test_without_a_commit_the_version_is_shown_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(REVISION_VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no git

    assert describe_version() == VERSION
