"""The postmaster, which is the first process of a PostgreSQL server: finding it, and stopping it."""

from __future__ import annotations

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class PidFile:
    """The content of `postmaster.pid`. `status` is `ready` once the server accepts connections."""

    pid: int | None
    socket_dir: Path | None
    status: str

    @classmethod
    def read(cls, cluster_dir: Path) -> PidFile:
        """Read the file of a cluster. A missing or incomplete file gives empty fields."""
        try:
            lines = (cluster_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        lines += [""] * (8 - len(lines))  # the server writes it line by line
        pid = int(lines[0]) if lines[0].isdigit() else None
        return cls(pid, Path(lines[4]) if lines[4] else None, lines[7].strip())


def server_processes(cluster_dir: Path) -> list[psutil.Process]:
    """Return all processes of a server on this cluster.

    They are found by their working directory, which is the cluster: the pid in `postmaster.pid` may belong to another
    program by now.
    """
    return [
        process
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(cluster_dir)
    ]


def stop(postmaster: psutil.Process, first_signal: signal.Signals) -> None:
    """Stop the server by `first_signal`, and by stronger ones when it does not stop in time."""
    for number in dict.fromkeys([first_signal, signal.SIGQUIT, signal.SIGKILL]):
        if has_exited(postmaster):
            return
        postmaster.send_signal(number)
        deadline = time.monotonic() + STOP_TIMEOUT_S
        while not has_exited(postmaster) and time.monotonic() < deadline:
            time.sleep(0.02)


def has_exited(process: psutil.Process) -> bool:
    """Return whether the process is gone or a zombie: in many containers nothing reaps orphans."""
    if isinstance(process, psutil.Popen) and process.poll() is not None:
        return True
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
