"""How attempts are counted."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from prometheus_client import Histogram
from prometheus_client.samples import Sample

from taskcore.domain.tasks import Claim, ClaimedTask, Lease
from taskcore.observability.metrics import ENQUEUE_TO_START_SECONDS, RUN_BUCKETS, AttemptMetrics, BoundedLabels


def test_names_beyond_the_limit_share_one_label() -> None:
    labels = BoundedLabels(2)

    names = ["default", "mail", "invented", "mail", "another"]
    assert [labels[name] for name in names] == ["default", "mail", "other", "mail", "other"]


def values(histogram: Histogram, type_: str) -> dict[str, float]:
    samples: Iterable[Sample] = next(iter(histogram.collect())).samples
    return {
        f"{sample.name.rpartition('_')[2]} {sample.labels.get('le', '')}": sample.value
        for sample in samples
        if sample.labels["type"] == type_ and not sample.name.endswith("_created")
    }


def test_batch_of_values_counts_like_each_of_them() -> None:
    waits = [0.0, 0.001, 0.0011, 0.5, 59.0, 10**6]
    expected = Histogram("expected", "Each value by itself", ["type"], buckets=RUN_BUCKETS, registry=None)
    for wait in waits:
        expected.labels("batched").observe(wait)

    task = ClaimedTask(Lease(1, 1, UUID(int=1)), "t", "batched", "default", {}, 0, 4, 0.0)
    AttemptMetrics().claimed([Claim(task, wait) for wait in waits], asked_ns=0)

    assert values(ENQUEUE_TO_START_SECONDS, "batched") == values(expected, "batched")
