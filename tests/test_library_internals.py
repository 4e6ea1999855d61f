"""The parts of libraries that are not public, and the versions with which they are known to work."""

from __future__ import annotations

import importlib
import inspect
import platform
import re
from importlib.metadata import version
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs/library_internals.md"
ROW = re.compile(r"^\| (`?)([\w-]+)\1 \| ([\d., ]+) \| `([\w.]+)`: (.+?) \| `(.+?)` \|", re.MULTILINE)
ROWS = [
    (name, set(versions.split(", ")), module, parts)
    for _, name, versions, module, parts, _ in ROW.findall(PAGE.read_text())
]


def installed_version(library: str) -> str:
    """Return the version's first two numbers."""
    full = platform.python_version() if library == "Python" else version(library)
    return ".".join(full.split(".")[:2])


@pytest.mark.parametrize(("library", "known", "module", "parts"), ROWS)
def test_installed_version_is_known_to_work(library: str, known: set[str], module: str, parts: str) -> None:
    assert installed_version(library) in known, f"see {PAGE.name}: how do I allow a new version?"
    source = inspect.getsource(importlib.import_module(module))
    for part in re.findall(r"`(\w+)`", parts):
        assert re.search(rf"\b{part}\b", source), f"{module} has no {part} any more"


def test_page_lists_every_row_of_its_table() -> None:
    table = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]

    assert len(ROWS) == len(table) - 2  # the head and the line below it
