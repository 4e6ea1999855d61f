"""How much memory the container, or the control group, of this process may use, and a task's share of it.

A kubelet has every process of a container killed when the container exceeds its limit (`memory.oom.group`). So a task
in a process of its own is limited to less: it then fails alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from taskcore.settings import WorkerSettings

MIB = 1024 * 1024
#: What each executor and the supervisor need for themselves.
OVERHEAD_BYTES = 128 * MIB
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")
#: Version 1 has no word for "unlimited", but a number beyond all memory.
UNLIMITED_V1 = 2**60


def task_limit(worker: WorkerSettings, container_bytes: int | None) -> int | None:
    """Return how many bytes a task in a process of its own may use, if its type does not say. `None`: any number."""
    if worker.task_memory_mb is not None:
        return worker.task_memory_mb * MIB or None
    if container_bytes is None:
        return None
    return max(container_bytes - OVERHEAD_BYTES * (worker.processes + 1), container_bytes // 2)


def container_limit(own: Path = OWN_CGROUPS, root: Path = CGROUPS) -> int | None:
    """Return the lowest memory limit, in bytes, of this process's control group and those around it."""
    return min(_limits(own, root), default=None)


def _limits(own: Path, root: Path) -> Iterator[int]:
    """In a container, the paths may be the host's, while `root` shows the container's own group at its top."""
    with suppress(OSError):
        for line in own.read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            is_v2 = number == "0" and not controllers
            if not is_v2 and "memory" not in controllers.split(","):
                continue
            base, name = (root, "memory.max") if is_v2 else (root / "memory", "memory.limit_in_bytes")
            group = PurePosixPath(path.lstrip("/"))
            for ancestor in (group, *group.parents):
                yield from _limit(base / ancestor / name)


def _limit(file: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):  # no such group here, or "max"
        limit = int(file.read_text())
        if limit < UNLIMITED_V1:
            yield limit
