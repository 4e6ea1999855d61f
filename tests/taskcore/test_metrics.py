"""Installed sources of metrics are found; what is wrong with one is said, and the others are measured."""

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

class NoSource:
    pass

class Breaks(Carts):
    def __init__(self):
        raise RuntimeError("no")
"""

ENTRY_POINTS = """
[taskcore.metrics]
a_missing = metrics_of_a_shop:Missing
b_wrong = metrics_of_a_shop:NoSource
c_breaks = metrics_of_a_shop:Breaks
d_carts = metrics_of_a_shop:Carts
e_carts_again = metrics_of_a_shop:Carts
"""


class Named(MetricSource):
    def __init__(self, name: str, *metrics: str) -> None:
        self.name = name
        self.metrics = metrics

    def describe(self) -> Iterable[Metric]:
        return [Metric(metric) for metric in self.metrics]

    def collect(self, ctx: MetricContext) -> Iterable[Sample]:
        return []


def test_what_is_installed_is_measured_and_what_cannot_be_loaded_is_said(
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
    faults = [(entry["event"], entry["source"]) for entry in logs]
    left_out = [("metrics.load_failed", name) for name in ("a_missing", "b_wrong", "c_breaks")]
    assert faults == [*left_out, ("metrics.name_conflict", "carts")]


def test_the_first_to_have_a_name_or_a_metric_keeps_it() -> None:
    sources = [Named("a", "x", "y"), Named("a", "z"), Named("b", "y", "w"), Named("c", "w")]

    kept = without_conflicts(sources)

    assert kept == [sources[0], sources[3]]
