"""The tracked text files of the repository."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]

Texts = Mapping[str, str]


def tracked_texts() -> Texts:
    """Return the content of every tracked text file by its path relative to the repository."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    paths = [path for path in listed.split("\0") if path and (ROOT / path).is_file()]
    contents = {path: (ROOT / path).read_bytes() for path in paths}
    return {path: content.decode() for path, content in contents.items() if b"\0" not in content}


def python_files(texts: Texts) -> dict[str, str]:
    """Return the Python files among `texts`."""
    return {path: text for path, text in texts.items() if path.endswith(".py")}
