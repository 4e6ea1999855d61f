"""Where test servers keep their data."""

from __future__ import annotations

import shutil
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
NEEDED_BYTES = 2 * 1024**3


def memory_directory() -> str | None:
    """Return a directory in memory, where databases are created and dropped ten times as fast, or None for the disk."""
    has_room = SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= NEEDED_BYTES
    return str(SHARED_MEMORY) if has_room else None
