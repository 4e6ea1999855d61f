"""What `/metrics` serves: the metrics of one process, or the sum over all processes of a service."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info, Metric, ProcessCollector, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from taskcore.observability.multiprocess_metrics import MetricFiles


def build_registry(service: str, *collectors: Collector | CollectorRegistry) -> CollectorRegistry:
    """Return a registry with the metrics of `collectors` and `taskcore_build_info` of `service`."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    build = Info("taskcore_build", "Always 1: service and version", registry=registry)
    build.info({"service": service, "version": version("taskcore")})
    for collector in collectors:
        registry.register(collector)
    return registry


class SummedCollector(Collector):
    """Merge several collectors into one, adding up samples of the same name and labels."""

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
    """The counts of all processes that share `files`, dead ones included, and the resources that live ones use."""

    def __init__(self, files: MetricFiles) -> None:
        self._files = files

    def collect(self) -> Iterable[Metric]:
        with self._files.lock:
            paths = [str(path) for path in self._files.readable()]
            merged = MultiProcessCollector.merge(paths)  # type: ignore[no-untyped-call]
        yield from merged
        pids = self._files.live_pids()
        yield from SummedCollector(*(ProcessCollector(pid=partial(int, pid), registry=None) for pid in pids)).collect()


def _sum_families(known: Metric, other: Metric) -> Metric:
    """Add up two families sample by sample. Of start times, which have no sum, keep the earliest."""
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
