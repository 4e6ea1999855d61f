"""The lock that gives a data directory one owner at a time: a locked file, held for the life of the process."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

import psutil

from taskcore.errors import TaskcoreError

CHILD_EXIT_TIMEOUT_S = 30


class DataDirInUse(TaskcoreError):
    """Another process uses this data directory."""


class DataDirLock:
    """A file lock. The operating system drops it when its holder dies, so it is never stale."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> None:
        """Acquire the lock, or fail at once if its holder is alive.

        Children of a killed holder may keep the lock for a moment, which is waited for. Raises `DataDirInUse` with the
        holder's pid.
        """
        if self._file is not None:
            raise DataDirInUse(f"this process already uses {self._path.parent}")
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock(file)
        except BaseException:
            os.close(file)
            raise
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Release the lock. The file stays: removing it would let two processes lock two files of the same name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _lock(self, file: int) -> None:
        deadline = time.monotonic() + CHILD_EXIT_TIMEOUT_S
        while True:
            try:
                return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as exc:
                holder = os.pread(file, 32, 0).decode(errors="replace").strip()
                if _is_alive(holder) or time.monotonic() > deadline:
                    raise DataDirInUse(
                        f"{self._path.parent} is in use by process {holder or 'unknown'}. Stop that process, or "
                        "give this one a data directory of its own (TASKCORE_DATA_DIR)."
                    ) from exc
            time.sleep(0.1)


def _is_alive(pid: str) -> bool:
    try:
        return psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):
        return False
