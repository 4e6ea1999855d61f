"""Finds files that are too long and folders with too many modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from checks.sources import Texts, python_files

MAX_LINES = 260
MAX_MODULES = 16

#: Files that may be longer, with the reason.
EXCEPTIONS: dict[str, str] = {}


def problems(texts: Texts) -> Iterator[str]:
    """Yield a line for each file and each folder over its limit. A folder's `__init__` does not count as a module."""
    files = python_files(texts)
    for path, text in files.items():
        lines = text.count("\n")
        if lines > MAX_LINES and path not in EXCEPTIONS:
            yield f"{path}: {lines} lines, the limit is {MAX_LINES}"
    folders = Counter(
        str(PurePosixPath(path).parent)
        for path in files
        if PurePosixPath(path).name not in ("__init__.py", "__main__.py")
    )
    for folder, modules in sorted(folders.items()):
        if modules > MAX_MODULES:
            yield f"{folder}: {modules} modules, the limit is {MAX_MODULES}"
