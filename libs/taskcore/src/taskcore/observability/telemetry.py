"""What a process tells about itself: structured logs and Prometheus metrics."""

from __future__ import annotations

import logging
import sys
import threading
from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

import structlog
from prometheus_client import Counter, Histogram

from taskcore.domain.tasks import FinishedAttempt
from taskcore.observability.log_context import add_attempt_fields
from taskcore.observability.redaction import Redactor
from taskcore.settings import LogSettings

#: Seconds; from what does nothing to a night's work.
RUN_BUCKETS = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600, 10_800, 36_000)
#: More names of queues than these are one, `other`: whoever submits tasks can invent as many as they like.
MAX_QUEUE_LABELS = 100

TASKS_SUBMITTED = Counter("taskcore_tasks_submitted", "Tasks stored")
REQUESTS = Counter("taskcore_http_requests", "HTTP requests answered", ["method", "route", "status"])
REQUEST_SECONDS = Histogram("taskcore_http_request_seconds", "Time to answer an HTTP request", ["method", "route"])
ATTEMPTS = Counter("taskcore_attempts", "Attempts settled", ["type", "outcome"])
ENQUEUE_TO_START_SECONDS = Histogram(
    "taskcore_enqueue_to_start_seconds", "From when a task could run to its claim", ["type"], buckets=RUN_BUCKETS
)
RUN_SECONDS = Histogram("taskcore_run_seconds", "Run time of an attempt", ["type"], buckets=RUN_BUCKETS)
CLAIMS_REFUSED = Counter("taskcore_claims_refused", "Messages that entitled to nothing: duplicates and stale ones")
RESULTS_REFUSED = Counter("taskcore_results_refused", "Ends of attempts that were no longer held")
LEASE_LOSSES = Counter("taskcore_lease_losses", "Leases that a worker could not keep")
EXECUTOR_EXITS = Counter("taskcore_executor_exits", "Executor processes that ended, by why", ["kind"])
MESSAGES_SENT = Counter("taskcore_messages_sent", "Messages the broker confirmed", ["queue"])
MESSAGES_RESENT = Counter("taskcore_messages_resent", "Messages taken for lost and sent again", ["queue"])
SCHEDULE_DUE_TIMES = Counter("taskcore_schedule_due_times", "Times of schedules, by what became of them", ["outcome"])
TASKS_RESCUED = Counter("taskcore_tasks_rescued", "Tasks returned from workers that died")
SPANS_DROPPED = Counter("taskcore_spans_dropped", "Spans of traces that no viewer will get, by why", ["reason"])


class BoundedLabels:
    """The first names of a kind that this process meets stand for themselves, all others are `other`. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._most = limit
        self._lock = threading.Lock()
        self._known: set[str] = set()

    def __getitem__(self, name: str) -> str:
        with self._lock:
            if len(self._known) < self._most:
                self._known.add(name)
            return name if name in self._known else "other"


#: For the label `queue`, of whichever metric.
QUEUE_LABELS = BoundedLabels(MAX_QUEUE_LABELS)


#: One kind of task is asked for again and again: finding its metric by name takes longer than counting.
_waits_of = cache(ENQUEUE_TO_START_SECONDS.labels)
_runs_of = cache(RUN_SECONDS.labels)
_attempts_of = cache(ATTEMPTS.labels)


def record_claims(waits: Iterable[tuple[str, float]]) -> None:
    """What was claimed together: the type of each, and how many seconds it waited."""
    for type_, seconds in _by_type(waits).items():
        _observe_all(_waits_of(type_), seconds)


def record_results(batch: Sequence[FinishedAttempt]) -> None:
    """The ends of attempts, by type and outcome, whoever wrote them, and the run times that are known."""
    for (type_, outcome), count in Tally((one.type, one.result.outcome) for one in batch).items():
        _attempts_of(type_, outcome).inc(count)
    for type_, seconds in _by_type((one.type, one.ran_s) for one in batch if one.ran_s is not None).items():
        _observe_all(_runs_of(type_), seconds)


def _by_type(pairs: Iterable[tuple[str, float]]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for type_, seconds in pairs:
        found.setdefault(type_, []).append(seconds)
    return found


def _observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """As `observe` for each of `values`, which took a twentieth of an executor's time: each writes to shared files."""
    bounds = histogram._upper_bounds
    for bucket, count in Tally(bisect_left(bounds, value) for value in values).items():
        histogram._buckets[bucket].inc(count)
    histogram._sum.inc(sum(values))


def configure_logging(settings: LogSettings) -> None:
    """Send everything, the standard library's loggers included, to stderr: JSON, or readable on a terminal."""
    is_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_attempt_fields,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    render = (
        structlog.processors.JSONRenderer(default=_fallback_json)
        if is_json
        else structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    )
    masking = Redactor(settings.redacted_fields)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,  # its level is the root logger's, which may change
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                lambda _, __, line: masking.redact_fields(line),
                render,
                lambda _, __, line: masking.redact_text(str(line)),  # for what is no text before it is rendered
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_log_level(settings.level)


def _fallback_json(value: object) -> str:
    """What JSON has no word for. A stranger's `repr` may raise anything, and the line is to be written."""
    try:
        return repr(value)
    except Exception:
        return f"<{type(value).__name__}>"


def set_log_level(level: str) -> None:
    """From now on."""
    logging.getLogger().setLevel(_number(level))
    for chatty in ("httpx", "httpcore", "dramatiq", "alembic", "mail", "urllib3", "kubernetes"):
        logging.getLogger(chatty).setLevel(max(_number(level), logging.WARNING))
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a line a span that it drops: we count them
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # eight lines a connection refused, which we tell in one


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
