"""Listing metrics, and reading their samples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from litestar import get
from litestar.params import FromQuery, QueryParameter

from taskapi.analytics import schemas
from taskapi.http.paging import parse_labels, parse_time
from taskapi.http.parameters import problem_responses
from taskapi.http.problems import invalid_field, not_found
from taskapi.runtime.database import Rows
from taskapi.runtime.services import AppServices, Services
from taskapi.schemas.problems import ProblemCode
from taskapi.tasks import presenters
from taskcore.db.analytics import queries
from taskcore.db.analytics.queries import Aggregation, SampleQuery
from taskcore.db.stored_values import stored
from taskcore.domain.metrics import Kind, bucket_start

MAX_POINTS = 10_000
MAX_BUCKET_S = 366 * 86_400
DEFAULT_RANGE = timedelta(days=30)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)

_Metric = Annotated[
    str,
    QueryParameter(
        min_length=1, max_length=255, schema_extra={"examples": ["submitted"]}, description="A metric's name."
    ),
]
_Label = Annotated[
    list[str] | None, QueryParameter(description="`key=value`. With several, a series must have all of them.")
]
_GroupBy = Annotated[
    list[str] | None,
    QueryParameter(
        description="Name of a label. Series with equal values are combined; an empty name combines all series."
    ),
]
_From = Annotated[
    str | None,
    QueryParameter(name="from", schema_extra={"format": "date-time"}, description="Default: 30 days before `to`."),
]
_To = Annotated[str | None, QueryParameter(schema_extra={"format": "date-time"}, description="Default: now.")]
_Bucket = Annotated[int, QueryParameter(ge=1, le=MAX_BUCKET_S, description="Width of a bucket in seconds.")]


@get("/analytics/metrics", summary="List metrics", responses=problem_responses())
async def list_metrics(services: AppServices) -> schemas.Metrics:
    """Return every metric that has been collected, by name."""
    rows = await services.database.read(queries.list_metrics())
    return schemas.Metrics(presenters.from_rows(schemas.Metric, rows))


@get("/analytics", summary="Get the values of a metric", responses=problem_responses(404))
async def get_analytics(
    services: AppServices,
    metric: _Metric,
    label: _Label = None,
    from_: _From = None,
    to: _To = None,
    bucket: _Bucket = 86_400,
    aggregation: FromQuery[Aggregation | None] = None,
    across: FromQuery[schemas.Across | None] = None,
    group_by: _GroupBy = None,
) -> schemas.Analytics:
    """Return samples in buckets of time, for each series or for each group of `group_by`. At most 10,000 points.

    `aggregation` defaults to `sum` for a count and `avg` for a gauge; `across` defaults to `sum`, and to `max` for a
    gauge in seconds. Buckets without samples are omitted.
    """
    start, end = _plan_range(from_, to, bucket, datetime.now(UTC))
    known = await _metric(services, metric)
    sample_query = SampleQuery(
        metric,
        start,
        end,
        bucket,
        aggregation or (Aggregation.SUM if known.kind is Kind.COUNT else Aggregation.AVG),
        Aggregation(across or _across(known)),
        None if group_by is None else _check_labels("group_by", [name for name in group_by if name], known),
        dict(_pairs(label or (), known)),
    )
    rows = await services.database.read(queries.read_samples(sample_query, MAX_POINTS + 1))
    return _present(known, sample_query, rows)


def _plan_range(since: str | None, until: str | None, bucket_s: int, now: datetime) -> tuple[datetime, datetime]:
    """Return the start of the bucket of `since`, and the end of that of `until`: a part of one would look like a drop.

    Raise `ProblemError` if they are not valid.
    """
    end = _time("to", until) or now
    start = _time("from", since) or end - DEFAULT_RANGE
    if start >= end:
        raise invalid_field("from", "is not before to")
    width = timedelta(seconds=bucket_s)
    last = bucket_start(end, width)
    return bucket_start(start, width), last if last == end else last + width


def _time(field: str, text: str | None) -> datetime | None:
    time = parse_time(field, text)
    if time is not None and not EARLIEST <= time <= LATEST:
        raise invalid_field(field, "must be between the years 1970 and 9000")
    return time


async def _metric(services: Services, name: str) -> schemas.Metric:
    """Raise `ProblemError` when there is no such metric."""
    rows = await services.database.read(queries.get_metric(), {"of": name})
    if not rows:
        raise not_found(ProblemCode.METRIC_NOT_FOUND, name)
    return schemas.Metric(**{**rows[0]._mapping, "kind": stored(Kind, rows[0].kind)})


def _across(metric: schemas.Metric) -> schemas.Across:
    """Return the default of `across`: the waiting times and ages of several series do not add up."""
    is_time = metric.kind is Kind.GAUGE and metric.unit == "seconds"
    return schemas.Across.MAX if is_time else schemas.Across.SUM


def _pairs(labels: Sequence[str], metric: schemas.Metric) -> list[tuple[str, str]]:
    """Return `labels` as pairs. Raise `ProblemError` when one is unknown, or has two values."""
    pairs = parse_labels(labels)
    _check_labels("label", [key for key, _ in pairs], metric)
    for key, value in pairs:
        if any(key == other and value != its for other, its in pairs):
            raise invalid_field("label", f"{key} has two values")
    return pairs


def _check_labels(field: str, names: Sequence[str], metric: schemas.Metric) -> Sequence[str]:
    """Return `names`. Raise `ProblemError` for one that is no label of `metric`, if its labels are known."""
    for name in names:
        if metric.series and name not in metric.labels:
            has = f"it has {', '.join(metric.labels)}" if metric.labels else "it has none"
            raise invalid_field(field, f"{name!r} is not a label of this metric: {has}")
    return names


def _present(metric: schemas.Metric, sample_query: SampleQuery, rows: Rows) -> schemas.Analytics:
    """Return the response. Raise `ProblemError` when it has too many points."""
    if sum(len(row.times) for row in rows) > MAX_POINTS:
        raise invalid_field(
            "bucket", f"leads to more than {MAX_POINTS} points: use larger buckets, a shorter time, or fewer series"
        )
    return schemas.Analytics(
        metric=metric.name,
        unit=metric.unit,
        kind=metric.kind,
        from_=sample_query.start,
        to=sample_query.end,
        bucket_s=sample_query.bucket_s,
        aggregation=sample_query.aggregation,
        across=None if sample_query.group_by is None else schemas.Across(sample_query.group_aggregation),
        series=[_series(row) for row in rows],
    )


def _series(row: Any) -> schemas.AnalyticsSeries:
    return schemas.AnalyticsSeries(row.labels, list(zip(row.times, row.values, strict=True)))
