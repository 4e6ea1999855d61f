"""A task in a process of its own may use less memory than its container, so that it fails alone."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from taskcore.execution.isolation.container_memory import MIB, container_limit, task_limit
from taskcore.execution.isolation.rlimits import set_data_limit, set_memory_limit
from taskcore.settings import WorkerSettings


def cgroups(directory: Path, own: str, files: dict[str, str]) -> tuple[Path, Path]:
    """Return the file of a process's control groups, and the tree of all of them."""
    root = directory / "cgroup"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    (directory / "own").write_text(own)
    return directory / "own", root


@pytest.mark.parametrize(
    ("own", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "1073741824"}, 1_073_741_824),
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "500", "memory.max": "900"}, 500),
        ("0::/host/path\n", {"memory.max": "700"}, 700),
        ("4:cpu:/x\n9:memory:/kubepods/pod1\n", {"memory/memory.limit_in_bytes": "800"}, 800),
        ("9:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("4:cpu:/x\n", {}, None),
    ],
    ids=["v2", "v2-unlimited", "v2-nested", "v2-host", "v1", "v1-unlimited", "none"],
)
def test_the_limit_of_the_container_is_found(tmp_path: Path, own: str, files: dict[str, str], limit: int) -> None:
    assert container_limit(*cgroups(tmp_path, own, files)) == limit


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    assert container_limit(tmp_path / "own", tmp_path) is None


def test_a_task_gets_what_the_worker_itself_does_not_need() -> None:
    worker = WorkerSettings(processes=2)

    assert task_limit(worker, 1024 * MIB) == 640 * MIB
    assert task_limit(worker, 400 * MIB) == 200 * MIB
    assert task_limit(worker, None) is None


def test_an_operator_can_set_the_limit_or_remove_it() -> None:
    assert task_limit(WorkerSettings(task_memory_mb=100), 1024 * MIB) == 100 * MIB
    assert task_limit(WorkerSettings(task_memory_mb=0), 1024 * MIB) is None


def test_a_limit_of_the_type_replaces_that_of_the_container() -> None:
    def limits() -> str:
        set_data_limit(100 * MIB)
        before = resource.getrlimit(resource.RLIMIT_DATA)[0]
        set_memory_limit(8192 * MIB)
        return f"{before} {resource.getrlimit(resource.RLIMIT_DATA)[0]} {resource.getrlimit(resource.RLIMIT_AS)[0]}"

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    assert in_child(limits) == f"{100 * MIB} {hard} {8192 * MIB}"


def in_child(function: object) -> str:
    """Return what `function` returns in a fork, whose limits end with it."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(theirs, str(function()).encode())  # type: ignore[operator]
        os._exit(0)
    os.waitpid(child, 0)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        return pipe.read()
