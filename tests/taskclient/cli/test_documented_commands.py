"""The `task-cli` commands in README, docs and the chart are valid: their names, options and values."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from taskclient.cli.program import program

ROOT = Path(__file__).parents[3]
FILES = [
    ROOT / "README.md",
    ROOT / "deploy/helm/taskcore/files/alerts.yaml",
    ROOT / "deploy/helm/taskcore/templates/NOTES.txt",
    *sorted((ROOT / "docs").glob("*.md")),
]
COMMAND = re.compile(r"(?:^|[`\s/])task-cli ([^`\n]+)")
#: Placeholders for a number, a word or a template's value, and a value that stands for them.
PLACEHOLDERS = {r"\{\{.*?\}\}": "1", r"\bN\b": "1", r"\{task_id\}": "1", "…": ""}


def documented() -> Iterator[str]:
    for path in FILES:
        for line in COMMAND.findall(path.read_text().replace("\\\n", " ")):
            for placeholder, value in PLACEHOLDERS.items():
                line = re.sub(placeholder, value, line)
            yield line


@pytest.mark.parametrize("line", sorted(set(documented())))
def test_documented_command_is_valid(line: str) -> None:
    command: click.Command = program
    words = shlex.split(line, comments=True)
    while isinstance(command, click.Group):
        _, words, _ = command.make_parser(click.Context(command)).parse_args(words)
        if not words:
            return
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None
        command = found
    command.make_context("task-cli", words)
