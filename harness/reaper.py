"""Cleanup that survives the test session: nothing that a test starts outlives it, even when the session is killed.

The reaper is a small process that reads from a pipe. While the session runs, it records what to clean up. When the
session ends in any way, the pipe closes; the reaper then kills the recorded process groups and removes the recorded
containers and directories.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

MARKER_VARIABLE = "TEST_MARK"


class Reaper:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch_group(self, pid: int) -> None:
        """Kill this process group at the end, unless `forget_group` is called before."""
        self._tell("+group", str(pid))

    def forget_group(self, pid: int) -> None:
        self._tell("-group", str(pid))

    def watch_marked(self, mark: str) -> None:
        """At the end, kill every process whose environment has this value of `MARKER_VARIABLE`."""
        self._tell("+marked", mark)

    def watch_directory(self, path: Path) -> None:
        """Remove this directory at the end."""
        self._tell("+directory", str(path))

    def watch_container(self, container: str) -> None:
        """Remove this container at the end."""
        self._tell("+container", container)

    def close(self) -> None:
        """Clean up everything recorded now."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _tell(self, what: str, value: str) -> None:
        assert self._process.stdin is not None
        print(what, value, file=self._process.stdin, flush=True)


def kill_marked(mark: str) -> None:
    """Kill every process with this mark, whatever its session or parent."""
    while marked := [process for process in psutil.process_iter() if _has_mark(process, mark)]:
        for process in marked:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(marked, timeout=1)


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARKER_VARIABLE) == mark and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def main() -> None:
    listed: dict[tuple[str, str], None] = {}
    for line in sys.stdin:
        what, value = line.rstrip("\n").split(" ", 1)
        if what.startswith("+"):
            listed[what[1:], value] = None
        else:
            listed.pop((what[1:], value), None)
    for what, value in sorted(listed, key=lambda entry: entry[0] == "directory"):  # users of a directory first
        if what == "group":
            with suppress(ProcessLookupError):
                os.killpg(int(value), signal.SIGKILL)
        elif what == "marked":
            kill_marked(value)
        elif what == "container":
            import docker

            docker.from_env().containers.get(value).remove(force=True, v=True)
        elif what == "directory":
            shutil.rmtree(value, ignore_errors=True)


if __name__ == "__main__":
    main()
