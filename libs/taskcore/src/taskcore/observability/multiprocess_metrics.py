"""What `/metrics` answers: the metrics of one process, or of all processes of a service, added up.

Processes that share a directory count in files there, each in its own. Who starts them makes the directory before they
import prometheus_client, which then counts so.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import struct
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import structlog
from prometheus_client import CollectorRegistry, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
SWEEP_INTERVAL_S = 10.0
MIN_ORPHAN_AGE_S = 60.0
#: Bytes that are free on the disk where the sweep writes.
MIN_FREE_BYTES = 1024 * 1024
#: In the names of files, where others have the number of the process that is counted there.
DEAD_PID = "0"

log = structlog.stdlib.get_logger(__name__)


def build_registry(service: str, *collectors: Collector | CollectorRegistry) -> CollectorRegistry:
    """What a process of `service` answers: what `collectors` have, and which version it is."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    for collector in (_BuildInfo(service), *collectors):
        registry.register(collector)
    return registry


class SummedCollector(Collector):
    """Several collectors as one: what bears the same name and the same labels is added up."""

    def __init__(self, *collectors: Collector | CollectorRegistry) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for collector in self._collectors:
            for family in collector.collect():
                known = families.get(family.name)
                families[family.name] = family if known is None else _sum_families(known, family)
        return families.values()


class MultiprocessMetrics(Collector):
    """What all processes that share `directory` have counted, those that are dead included, and what they use."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)
        self._lock = threading.Lock()

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            begun = [str(file) for file in self._directory.glob("*.db") if file.stat().st_size]
            counted = MultiProcessCollector.merge(begun)  # type: ignore[no-untyped-call]
        yield from counted
        yield from SummedCollector(
            *(ProcessCollector(pid=partial(int, pid), registry=None) for pid in self._live_pids())
        ).collect()

    def sweep(self) -> None:
        """What the dead have counted stays, in one file of each kind, however many they are.

        Raises `OSError` where there is no room: writing to a mapped file without any ends the process.
        """
        self._directory.mkdir(exist_ok=True)  # somebody cleaned up: processes that start need it
        if shutil.disk_usage(self._directory).free < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._directory))
        with self._lock:
            living = self._live_pids()
            for file in self._directory.glob("*_*.db"):
                kind, _, pid = file.stem.rpartition("_")
                if pid not in living and pid != DEAD_PID:
                    self._fold_in(file, kind)

    def _live_pids(self) -> set[str]:
        """Those with files, and the one that asks."""
        pids = {file.stem.rpartition("_")[2] for file in self._directory.glob("*_*.db")} | {str(os.getpid())}
        return {pid for pid in pids if pid != DEAD_PID and Path("/proc", pid).exists()}

    def _fold_in(self, file: Path, kind: str) -> None:
        if not kind.startswith("gauge"):  # what a dead process measured is not so any more
            with suppress(struct.error, RuntimeError):  # it died while it made or wrote its file
                self._add_to_dead(file, kind)
        file.unlink(missing_ok=True)

    def _add_to_dead(self, file: Path, kind: str) -> None:
        counted = list(MmapedDict.read_all_values_from_file(file))  # type: ignore[no-untyped-call]
        kept = MmapedDict(str(self._directory / f"{kind}_{DEAD_PID}.db"))  # type: ignore[no-untyped-call]
        for key, value, _, _ in counted:
            before, _ = kept.read_value(key)  # type: ignore[no-untyped-call]
            kept.write_value(key, before + value, 0.0)  # type: ignore[no-untyped-call]
        kept.close()  # type: ignore[no-untyped-call]


def preallocate_files() -> None:
    """Have what this process has of shared files lie on the disk: where that is full later on, it counts all the same.

    Files are mapped, and begin as holes. To write into one of those on a full disk ends the process (SIGBUS).
    """
    if directory := os.environ.get(DIRECTORY_VARIABLE):
        for file in Path(directory).glob(f"*_{os.getpid()}.db"):
            with suppress(OSError), file.open("r+b") as opened:
                os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)


@contextmanager
def metrics_directory(name: str, parent: str | None = None) -> Iterator[str]:
    """For as long as this lasts, the processes that this one starts share a directory. `name` is in its name.

    Those of processes that were killed are deleted: a container's `/tmp` may outlive many of them.
    """
    prefix = f"{name}-metrics-"
    for left in Path(parent or gettempdir()).glob(f"{prefix}*"):
        _delete_orphan(left)
    with TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as directory, _locked(directory):
        os.environ[DIRECTORY_VARIABLE] = directory
        yield directory


def _delete_orphan(directory: Path) -> None:
    """Unless it is somebody's: held, or so new that it is about to be."""
    with suppress(OSError):
        status = directory.lstat()
        is_new = time.time() - status.st_mtime < MIN_ORPHAN_AGE_S
        if status.st_uid == os.geteuid() and not is_new:
            with _locked(str(directory)):
                shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Raises `BlockingIOError` where another process holds it. The lock goes with the process, however that ends."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


@contextmanager
def periodic_sweep(directory: str) -> Iterator[MultiprocessMetrics]:
    """What is shared there, kept small meanwhile. It must be read by this process alone."""
    shared, is_over = MultiprocessMetrics(directory), threading.Event()
    threading.Thread(target=_sweep_loop, args=(shared, is_over), name="metrics", daemon=True).start()
    try:
        yield shared
    finally:
        is_over.set()


def _sweep_loop(shared: MultiprocessMetrics, is_over: threading.Event) -> None:
    while not is_over.wait(SWEEP_INTERVAL_S):
        try:
            shared.sweep()
        except OSError as exc:  # what is there still counts
            log.warning("metrics.sweep_failed", error=str(exc))


class _BuildInfo(Collector):
    def __init__(self, service: str) -> None:
        self._labels = (service, version("taskcore"))

    def collect(self) -> Iterable[Metric]:
        info = GaugeMetricFamily("taskcore_build_info", "Always 1: what answers here", labels=["service", "version"])
        info.add_metric(self._labels, 1)
        yield info


def _sum_families(known: Metric, other: Metric) -> Metric:
    """Of times when something started, the first."""
    combine = min if known.name.endswith("_start_time_seconds") else float.__add__
    samples = {_key(sample): sample for sample in known.samples}
    for sample in other.samples:
        before = samples.get(_key(sample))
        value = sample.value if before is None else combine(float(before.value), float(sample.value))
        samples[_key(sample)] = Sample(sample.name, sample.labels, value)
    total = Metric(known.name, known.documentation, known.type)
    total.samples = list(samples.values())
    return total


def _key(sample: Sample) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
