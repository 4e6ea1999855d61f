"""Installed metric sources are found; a faulty one is logged, and the others are measured."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from taskcore.metrics import Metric, MetricContext, MetricSource, Sample, load_sources, without_conflicts

MODULE = """
from taskcore.metrics import Metric, MetricSource, Sample

class Carts(MetricSource):
    name = "carts"
    def describe(self):
        return [Metric("carts_open")]
    def collect(self, ctx):
        return [Sample("carts_open", 1)]

class NotASource:
    pass

class Breaks(Carts):
    def __init__(self):
        raise RuntimeError("no")
"""

ENTRY_POINTS = """
[taskcore.metrics]
a_missing = metrics_of_a_shop:Missing
b_wrong = metrics_of_a_shop:NotASource
c_breaks = metrics_of_a_shop:Breaks
d_carts = metrics_of_a_shop:Carts
e_carts_again = metrics_of_a_shop:Carts
"""


class FakeSource(MetricSource):
    def __init__(self, name: str, *metrics: str) -> None:
        self.name = name
        self.metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return [Metric(metric) for metric in self.metrics]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        return []


def test_installed_sources_are_loaded_and_faulty_ones_are_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metrics_of_a_shop.py").write_text(MODULE)
    installed = tmp_path / "metrics_of_a_shop-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: metrics-of-a-shop\nVersion: 1\n")
    (installed / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)

    with capture_logs() as logs:
        names = [source.name for source in load_sources()]

    assert names.count("carts") == 1
    assert "tasks" in names
    failures = [(entry["event"], entry["source"]) for entry in logs]
    skipped = [("metrics.load_failed", name) for name in ("a_missing", "b_wrong", "c_breaks")]
    assert failures == [*skipped, ("metrics.name_conflict", "carts")]


def test_first_source_with_a_name_or_a_metric_keeps_it() -> None:
    sources = [FakeSource("a", "x", "y"), FakeSource("a", "z"), FakeSource("b", "y", "w"), FakeSource("c", "w")]

    kept = without_conflicts(sources)

    assert kept == [sources[0], sources[3]]
