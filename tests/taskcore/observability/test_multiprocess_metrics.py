"""What several processes have counted is told as one, and takes no more room for those that have died."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from harness.metrics import parse_series
from taskcore.observability.multiprocess_metrics import (
    DIRECTORY_VARIABLE,
    MultiprocessMetrics,
    SummedCollector,
    build_registry,
    metrics_directory,
)
from taskcore.observability.telemetry import BoundedLabels

COUNTS = """
from taskcore.observability.multiprocess_metrics import take_room
from taskcore.observability.telemetry import ATTEMPTS, RUN_SECONDS, TASKS_RESCUED
TASKS_RESCUED.inc({count})
ATTEMPTS.labels("noop", "succeeded").inc({count})
RUN_SECONDS.labels("noop").observe(0.2)
take_room()
print("counted", flush=True)
input()
"""


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path)


class Counting:
    """A process that has counted, and lives until it is told to end."""

    def __init__(self, directory: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNTS.format(count=count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, DIRECTORY_VARIABLE: directory},
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"counted\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def two(directory: str) -> Iterator[list[Counting]]:
    started = [Counting(directory, 3), Counting(directory, 4)]
    yield started
    for process in started:
        process.kill()


def told(*collectors: MultiprocessMetrics | SummedCollector | CollectorRegistry) -> dict[str, float]:
    return parse_series(generate_latest(build_registry("tests", *collectors)).decode())


def test_what_two_processes_counted_is_added_up(directory: str, two: list[Counting]) -> None:
    seen = told(MultiprocessMetrics(directory))

    assert seen["taskcore_tasks_rescued_total{}"] == 7
    assert seen["taskcore_attempts_total{succeeded,noop}"] == 7
    assert seen["taskcore_run_seconds_count{noop}"] == 2
    assert seen["taskcore_run_seconds_bucket{0.5,noop}"] == 2
    assert seen["taskcore_run_seconds_bucket{0.1,noop}"] == 0


def test_what_the_dead_counted_stays_and_takes_no_more_room(directory: str, two: list[Counting]) -> None:
    shared = MultiprocessMetrics(directory)
    before = told(shared)
    for process in two:
        process.kill()
    Counting(directory, 5).kill()
    shared.sweep()
    files = sorted(path.name for path in Path(directory).iterdir())
    Counting(directory, 6).kill()

    shared.sweep()

    after = told(shared)
    assert before["taskcore_tasks_rescued_total{}"] == 7
    assert after["taskcore_tasks_rescued_total{}"] == 18
    assert (after["taskcore_run_seconds_count{noop}"], after["taskcore_run_seconds_bucket{0.5,noop}"]) == (4, 4)
    assert sorted(path.name for path in Path(directory).iterdir()) == files == ["counter_0.db", "histogram_0.db"]


def test_the_living_are_left_alone_by_the_sweep(directory: str, two: list[Counting]) -> None:
    shared = MultiprocessMetrics(directory)
    two[0].kill()

    shared.sweep()

    assert told(shared)["taskcore_tasks_rescued_total{}"] == 7
    assert len(list(Path(directory).glob("counter_*.db"))) == 2


def test_a_file_that_its_process_did_not_finish_is_no_harm(directory: str, two: list[Counting]) -> None:
    Path(directory, "counter_999999999.db").write_bytes(b"")
    shared = MultiprocessMetrics(directory)

    before = told(shared)
    shared.sweep()

    assert before["taskcore_tasks_rescued_total{}"] == told(shared)["taskcore_tasks_rescued_total{}"] == 7


def test_a_directory_that_somebody_deleted_is_there_again_for_processes_that_start(directory: str) -> None:
    shared = MultiprocessMetrics(directory)
    Path(directory).rmdir()

    shared.sweep()

    started = Counting(directory, 2)
    assert told(shared)["taskcore_tasks_rescued_total{}"] == 2
    started.kill()


def test_a_process_has_its_room_before_the_disk_is_full(directory: str, two: list[Counting]) -> None:
    files = [path.stat() for path in Path(directory).iterdir()]

    assert all(512 * file.st_blocks >= file.st_size for file in files)


def test_what_all_processes_use_is_added_up_and_the_start_is_the_first(directory: str, two: list[Counting]) -> None:
    alone, own = told(build_registry("tests")), told(MultiprocessMetrics(directory))

    assert "process_resident_memory_bytes{}" not in alone
    assert own["process_resident_memory_bytes{}"] > 3 * 10_000_000
    assert 1_000_000_000 < own["process_start_time_seconds{}"] < 10_000_000_000


def test_what_bears_one_name_in_two_registries_is_one_family(directory: str, two: list[Counting]) -> None:
    own = CollectorRegistry()
    Counter("taskcore_tasks_rescued", "As there", registry=own).inc(10)
    Histogram("taskcore_run_seconds", "As there", ["type"], buckets=(0.1, 0.5), registry=own).labels("sleep").observe(1)

    text = generate_latest(build_registry("tests", SummedCollector(MultiprocessMetrics(directory), own))).decode()

    assert text.count("# TYPE taskcore_tasks_rescued_total counter") == 1
    assert text.count("# TYPE taskcore_run_seconds histogram") == 1
    assert "taskcore_tasks_rescued_total 17.0" in text
    assert 'taskcore_run_seconds_count{type="sleep"} 1.0' in text
    assert 'taskcore_run_seconds_count{type="noop"} 2.0' in text


def test_every_page_says_what_it_is() -> None:
    (series,) = [name for name in told() if name.startswith("taskcore_build_info")]

    assert series.startswith("taskcore_build_info{tests,0.")


def test_names_beyond_the_bound_are_one() -> None:
    names = BoundedLabels(2)

    assert [names[name] for name in ("default", "mail", "invented", "mail", "another")] == [
        "default",
        "mail",
        "other",
        "mail",
        "other",
    ]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")  # so that it is as before afterwards
    return str(tmp_path)


def grow_old(directory: str | Path) -> None:
    os.utime(directory, (0, 0))


def test_what_a_killed_process_left_is_deleted_by_the_next(place: str) -> None:
    left, linked = Path(place, "tests-metrics-left"), Path(place, "tests-metrics-linked")
    left.mkdir()
    (left / "counter_1.db").touch()
    grow_old(left)
    linked.symlink_to(place)

    with metrics_directory("tests", place) as directory:
        assert sorted(path.name for path in Path(place).iterdir()) == sorted([Path(directory).name, linked.name])
        assert os.environ[DIRECTORY_VARIABLE] == directory

    assert [path.name for path in Path(place).iterdir()] == [linked.name]


def test_what_others_hold_is_left_to_them(place: str) -> None:
    with metrics_directory("tests", place) as first:
        grow_old(first)
        with metrics_directory("tests", place) as second:
            assert Path(first).exists()
            assert Path(second).exists()
