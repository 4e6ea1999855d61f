"""Metric files of several processes: their counts are added up, survive the processes, and take little space."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from harness.metrics import parse_series
from taskcore.observability.exposition import MultiprocessMetrics, SummedCollector, build_registry
from taskcore.observability.multiprocess_metrics import DIRECTORY_VARIABLE, MetricFiles, metrics_directory

COUNT = """
from taskcore.observability.metrics import ATTEMPTS, RUN_SECONDS, TASKS_RESCUED
from taskcore.observability.multiprocess_metrics import preallocate_files
TASKS_RESCUED.inc({count})
ATTEMPTS.labels("noop", "succeeded").inc({count})
RUN_SECONDS.labels("noop").observe(0.2)
preallocate_files()
print("counted", flush=True)
input()
"""


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return str(tmp_path)


class CountingProcess:
    """A process that has counted, and lives until it is killed."""

    def __init__(self, directory: str, count: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", COUNT.format(count=count)],
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
def two_processes(directory: str) -> Iterator[list[CountingProcess]]:
    started = [CountingProcess(directory, 3), CountingProcess(directory, 4)]
    yield started
    for process in started:
        process.kill()


def scrape(*collectors: SummedCollector | MultiprocessMetrics | CollectorRegistry) -> dict[str, float]:
    return parse_series(generate_latest(build_registry("tests", *collectors)).decode())


def scrape_files(files: MetricFiles) -> dict[str, float]:
    return scrape(MultiprocessMetrics(files))


def test_counts_of_two_processes_are_added_up(directory: str, two_processes: list[CountingProcess]) -> None:
    seen = scrape_files(MetricFiles(directory))

    assert seen["taskcore_tasks_rescued_total{}"] == 7
    assert seen["taskcore_attempts_total{succeeded,noop}"] == 7
    assert seen["taskcore_run_seconds_count{noop}"] == 2
    assert seen["taskcore_run_seconds_bucket{0.5,noop}"] == 2
    assert seen["taskcore_run_seconds_bucket{0.1,noop}"] == 0


def test_counts_of_dead_processes_stay_in_one_file_of_each_kind(
    directory: str, two_processes: list[CountingProcess]
) -> None:
    files = MetricFiles(directory)
    before = scrape_files(files)
    for process in two_processes:
        process.kill()
    CountingProcess(directory, 5).kill()
    files.sweep()
    names = sorted(path.name for path in Path(directory).iterdir())
    CountingProcess(directory, 6).kill()

    files.sweep()

    after = scrape_files(files)
    assert before["taskcore_tasks_rescued_total{}"] == 7
    assert after["taskcore_tasks_rescued_total{}"] == 18
    assert (after["taskcore_run_seconds_count{noop}"], after["taskcore_run_seconds_bucket{0.5,noop}"]) == (4, 4)
    assert sorted(path.name for path in Path(directory).iterdir()) == names == ["counter_0.db", "histogram_0.db"]


def test_sweep_leaves_files_of_live_processes_alone(directory: str, two_processes: list[CountingProcess]) -> None:
    files = MetricFiles(directory)
    two_processes[0].kill()

    files.sweep()

    assert scrape_files(files)["taskcore_tasks_rescued_total{}"] == 7
    assert len(list(Path(directory).glob("counter_*.db"))) == 2


def test_unfinished_file_of_a_dead_process_does_no_harm(directory: str, two_processes: list[CountingProcess]) -> None:
    Path(directory, "counter_999999999.db").write_bytes(b"")
    files = MetricFiles(directory)

    before = scrape_files(files)
    files.sweep()

    assert before["taskcore_tasks_rescued_total{}"] == scrape_files(files)["taskcore_tasks_rescued_total{}"] == 7


def test_sweep_recreates_a_deleted_directory(directory: str) -> None:
    files = MetricFiles(directory)
    Path(directory).rmdir()

    files.sweep()

    started = CountingProcess(directory, 2)
    assert scrape_files(files)["taskcore_tasks_rescued_total{}"] == 2
    started.kill()


def test_disk_blocks_are_allocated_before_the_disk_is_full(
    directory: str, two_processes: list[CountingProcess]
) -> None:
    files = [path.stat() for path in Path(directory).iterdir()]

    assert all(512 * file.st_blocks >= file.st_size for file in files)


def test_resources_of_all_processes_are_added_up_and_the_earliest_start_is_kept(
    directory: str, two_processes: list[CountingProcess]
) -> None:
    without, with_files = scrape(build_registry("tests")), scrape_files(MetricFiles(directory))

    assert "process_resident_memory_bytes{}" not in without
    assert with_files["process_resident_memory_bytes{}"] > 3 * 10_000_000
    assert 1_000_000_000 < with_files["process_start_time_seconds{}"] < 10_000_000_000


def test_same_metric_in_two_collectors_is_one_family(directory: str, two_processes: list[CountingProcess]) -> None:
    other = CollectorRegistry()
    Counter("taskcore_tasks_rescued", "Same", registry=other).inc(10)
    Histogram("taskcore_run_seconds", "Same", ["type"], buckets=(0.1, 0.5), registry=other).labels("sleep").observe(1)

    both = SummedCollector(MultiprocessMetrics(MetricFiles(directory)), other)
    text = generate_latest(build_registry("tests", both)).decode()

    assert text.count("# TYPE taskcore_tasks_rescued_total counter") == 1
    assert text.count("# TYPE taskcore_run_seconds histogram") == 1
    assert "taskcore_tasks_rescued_total 17.0" in text
    assert 'taskcore_run_seconds_count{type="sleep"} 1.0' in text
    assert 'taskcore_run_seconds_count{type="noop"} 2.0' in text


def test_build_info_is_always_there() -> None:
    (name,) = [name for name in scrape() if name.startswith("taskcore_build_info")]

    assert name.startswith("taskcore_build_info{tests,0.")


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(DIRECTORY_VARIABLE, "")  # restored after the test, which sets it
    return str(tmp_path)


def grow_old(directory: str | Path) -> None:
    os.utime(directory, (0, 0))


def test_directory_of_a_killed_process_is_deleted_by_the_next(parent: str) -> None:
    orphan, link = Path(parent, "tests-metrics-orphan"), Path(parent, "tests-metrics-link")
    orphan.mkdir()
    (orphan / "counter_1.db").touch()
    grow_old(orphan)
    link.symlink_to(parent)

    with metrics_directory("tests", parent) as directory:
        assert sorted(path.name for path in Path(parent).iterdir()) == sorted([Path(directory).name, link.name])
        assert os.environ[DIRECTORY_VARIABLE] == directory

    assert [path.name for path in Path(parent).iterdir()] == [link.name]


def test_directory_of_a_live_process_is_left_alone(parent: str) -> None:
    with metrics_directory("tests", parent) as first:
        grow_old(first)
        with metrics_directory("tests", parent) as second:
            assert Path(first).exists()
            assert Path(second).exists()
