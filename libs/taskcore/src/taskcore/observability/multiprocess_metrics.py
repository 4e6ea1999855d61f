"""The directory in which the processes of a service count, each in files of its own, and the sweep of dead ones' files.

The parent creates the directory before its children import prometheus_client, which switches it to multiprocess mode.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import structlog
from prometheus_client.mmap_dict import MmapedDict

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SWEEP_INTERVAL_S = 10.0
MIN_ORPHAN_AGE_S = 60.0
#: Free disk space without which nothing is swept.
MIN_FREE_BYTES = 1024 * 1024
#: Takes the place of the process id in the names of the files that hold the counts of all dead processes.
DEAD_PID = "0"

log = structlog.stdlib.get_logger(__name__)


class MetricFiles:
    """The metric files in `directory`, named `KIND_PID.db`. Hold `lock` while reading them."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self.lock = threading.Lock()

    def readable(self) -> list[Path]:
        """Return the files that hold something. A process that has just started has empty ones."""
        return [path for path in self._directory.glob("*.db") if path.stat().st_size]

    def live_pids(self) -> set[str]:
        """Return the live processes with files here, and this process."""
        pids = {path.stem.rpartition("_")[2] for path in self._directory.glob("*_*.db")} | {str(os.getpid())}
        return {pid for pid in pids if pid != DEAD_PID and Path("/proc", pid).exists()}

    def sweep(self) -> None:
        """Fold the files of dead processes into one file of each kind, so that their counts stay.

        Raises `OSError` when the disk is nearly full: writing to a mapped file would then kill this process.
        """
        self._directory.mkdir(exist_ok=True)  # a clean-up of /tmp may have removed it, and new processes need it
        if shutil.disk_usage(self._directory).free < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))
        with self.lock:
            live = self.live_pids()
            for path in self._directory.glob("*_*.db"):
                kind, _, pid = path.stem.rpartition("_")
                if pid not in live and pid != DEAD_PID:
                    self._fold_in(path, kind)

    def _fold_in(self, path: Path, kind: str) -> None:
        if not kind.startswith("gauge"):  # a gauge of a dead process no longer holds
            with suppress(struct.error, RuntimeError):  # the process died while it wrote the file
                self._add_to_dead(path, kind)
        path.unlink(missing_ok=True)

    def _add_to_dead(self, path: Path, kind: str) -> None:
        counts = list(MmapedDict.read_all_values_from_file(path))  # type: ignore[no-untyped-call]
        totals = MmapedDict(str(self._directory / f"{kind}_{DEAD_PID}.db"))  # type: ignore[no-untyped-call]
        for key, value, _, _ in counts:
            before, _ = totals.read_value(key)  # type: ignore[no-untyped-call]
            totals.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
        totals.close()  # type: ignore[no-untyped-call]


def preallocate_files() -> None:
    """Allocate the disk blocks of this process's metric files, so that it can count when the disk is full.

    The files are mapped and start sparse; writing to a hole on a full disk kills the process (SIGBUS).
    """
    if directory := os.environ.get(DIRECTORY_VARIABLE):
        for path in Path(directory).glob(f"*_{os.getpid()}.db"):
            with suppress(OSError), path.open("r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, path.stat().st_size)


@contextmanager
def metrics_directory(name: str, parent: str | None = None) -> Iterator[str]:
    """Create a directory for the metric files of this process and its children, and remove it on exit.

    Directories that killed processes left are removed too: a container's `/tmp` may outlive many of them.
    """
    prefix = f"{name}-metrics-"
    for path in Path(parent or gettempdir()).glob(f"{prefix}*"):
        _delete_orphan(path)
    with TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as directory, _locked(directory):
        os.environ[DIRECTORY_VARIABLE] = directory
        yield directory


def _delete_orphan(directory: Path) -> None:
    """Delete `directory`, unless a process has locked it or is about to: then it is locked or new."""
    with suppress(OSError):
        status = directory.lstat()
        is_new = time.time() - status.st_mtime < MIN_ORPHAN_AGE_S
        if status.st_uid == os.geteuid() and not is_new:
            with _locked(str(directory)):
                shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Lock `directory`. The kernel drops the lock when the process ends, however it ends.

    Raises `BlockingIOError` when another process holds the lock.
    """
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def periodic_sweep(directory: str) -> Iterator[MetricFiles]:
    """Sweep `directory` every `SWEEP_INTERVAL_S` on a thread. No other process may read the files meanwhile."""
    files, stop = MetricFiles(directory), threading.Event()
    threading.Thread(target=_sweep_loop, args=(files, stop), name="metrics", daemon=True).start()
    try:
        yield files
    finally:
        stop.set()


def _sweep_loop(files: MetricFiles, stop: threading.Event) -> None:
    while not stop.wait(SWEEP_INTERVAL_S):
        try:
            files.sweep()
        except OSError as exc:  # nothing is lost: the files are still read
            log.warning("metrics.sweep_failed", error=str(exc))
