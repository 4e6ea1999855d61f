"""The Prometheus metrics of every process but the gauges of collectors, and how attempts are counted."""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from functools import cache

from prometheus_client import Counter, Histogram

from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.tasks import Claim, ClaimedTask, FinishedAttempt
from taskcore.observability.attempt_observer import AttemptObserver

#: Seconds: from a task that does nothing to one that runs all night.
RUN_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 10_800, 36_000)
#: Clients invent queue names at will, so names beyond this number share the label `other`.
MAX_QUEUE_LABELS = 100

TASKS_SUBMITTED = Counter("taskcore_tasks_submitted", "Tasks stored")
REQUESTS = Counter("taskcore_http_requests", "HTTP requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("taskcore_http_request_seconds", "Time to answer an HTTP request", ["method", "route"])
ATTEMPTS = Counter("taskcore_attempts", "Attempts settled", ["type", "outcome"])
ATTEMPTS_UNDESCRIBED = Counter(
    "taskcore_attempts_undescribed",
    "Attempts whose exception or retry policy failed itself, or that the worker could not run",
    ["type"],
)
ATTEMPTS_ABANDONED = Counter(
    "taskcore_attempts_abandoned", "Attempts that were settled while their threads did not stop", ["type"]
)
ENQUEUE_TO_START_SECONDS = Histogram(
    "taskcore_enqueue_to_start_seconds", "From when a task became due to its claim", ["type"], buckets=RUN_BUCKETS
)
RUN_SECONDS = Histogram("taskcore_run_seconds", "Run time of an attempt", ["type"], buckets=RUN_BUCKETS)
CLAIMS_REFUSED = Counter("taskcore_claims_refused", "Messages that claimed nothing: duplicate or stale")
CLAIMS_TYPE_UNKNOWN = Counter("taskcore_claims_type_unknown", "Messages of a type that the worker does not know")
RESULTS_REFUSED = Counter("taskcore_results_refused", "Results of attempts whose lease was gone")
LEASE_LOSSES = Counter("taskcore_lease_losses", "Leases that a worker failed to renew")
EXECUTOR_EXITS = Counter("taskcore_executor_exits", "Executor processes that exited, by kind of exit", ["kind"])
MESSAGES_SENT = Counter("taskcore_messages_sent", "Messages that the broker confirmed", ["queue"])
MESSAGES_RESENT = Counter("taskcore_messages_resent", "Messages considered lost and sent again", ["queue"])
SCHEDULE_DUE_TIMES = Counter("taskcore_schedule_due_times", "Due times of schedules, by outcome", ["outcome"])
SCHEDULE_FAILURES = Counter("taskcore_schedule_failures", "Attempts to fire a schedule that failed")
SWEEP_REPAIRS = Counter("taskcore_sweep_repairs", "What the sweep repaired: another rule has missed it", ["kind"])
POOL_WAIT_SECONDS = Counter("taskcore_pool_wait_seconds", "Time spent waiting for a connection to the database")
POOL_TIMEOUTS = Counter("taskcore_pool_timeouts", "Waits for a connection that were given up")
TASKS_RESCUED = Counter("taskcore_tasks_rescued", "Tasks put back in their queue because their worker died")
SPANS_DROPPED = Counter("taskcore_spans_dropped", "Spans that were not exported, by reason", ["reason"])


class BoundedLabels:
    """Map the first `limit` names to themselves and all later ones to `other`. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def __getitem__(self, name: str) -> str:
        with self._lock:
            if len(self._known) < self._limit:
                self._known.add(name)
            return name if name in self._known else "other"


#: For the label `queue`, in all metrics of this process.
QUEUE_LABELS = BoundedLabels(MAX_QUEUE_LABELS)


# Looking a labelled metric up takes longer than incrementing it, and there are few task types.
_waits_of = cache(ENQUEUE_TO_START_SECONDS.labels)
_runs_of = cache(RUN_SECONDS.labels)
_attempts_of = cache(ATTEMPTS.labels)


class AttemptMetrics(AttemptObserver):
    def claimed(self, claims: Sequence[Claim], asked_ns: int) -> None:
        waits = ((claim.task.type, claim.queued_s) for claim in claims if claim.queued_s is not None)
        for type_, seconds in _by_type(waits).items():
            _observe_all(_waits_of(type_), seconds)

    def ended(self, task: ClaimedTask, result: AttemptResult | None) -> None:
        if result is not None and result.is_undescribed:
            ATTEMPTS_UNDESCRIBED.labels(task.type).inc()

    def settled(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        record_results(batch)

    def refused(self, batch: Sequence[FinishedAttempt], asked_ns: int) -> None:
        RESULTS_REFUSED.inc(len(batch))


def record_results(batch: Sequence[FinishedAttempt]) -> None:
    """Count finished attempts by type and outcome, and their run times where those are known."""
    for (type_, outcome), count in Tally((one.type, one.result.outcome) for one in batch).items():
        _attempts_of(type_, outcome).inc(count)
    for type_, seconds in _by_type((one.type, one.ran_s) for one in batch if one.ran_s is not None).items():
        _observe_all(_runs_of(type_), seconds)


def _by_type(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    grouped: dict[str, list[float]] = {}
    for type_, seconds in pairs:
        grouped.setdefault(type_, []).append(seconds)
    return grouped


def _observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Do what `observe` does for each value, with one write a bucket.

    Calling `observe` took 5% of an executor's time, because each call writes to memory-mapped files. The attributes are
    not public: see docs/library_internals.md.
    """
    bounds = histogram._upper_bounds
    for bucket, count in Tally(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)
    histogram._sum.inc(sum(values))
