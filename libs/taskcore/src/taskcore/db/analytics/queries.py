"""Read analytics: which metrics there are, and their samples aggregated by time and by labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    DateTime,
    Executable,
    Select,
    Text,
    bindparam,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, aggregate_order_by

from taskcore.db.models import AnalyticsMetric, AnalyticsSample, AnalyticsSeries
from taskcore.db.sql import interval
from taskcore.domain.metrics import EPOCH


class Aggregation(StrEnum):
    """How several values are combined into one."""

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class SampleQuery:
    """The samples of `metric` in [start, end), in buckets of `bucket_s` seconds that are aligned to the epoch.

    Series that agree in the labels `group_by` are combined first, at each moment, by `group_aggregation`; None: each
    series on its own. `aggregation` then combines the values within a bucket.
    """

    metric: str
    start: datetime
    end: datetime
    bucket_s: int
    aggregation: Aggregation
    group_aggregation: Aggregation = Aggregation.SUM
    group_by: Sequence[str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@cache
def list_metrics() -> Executable:
    """By name: name, description, unit, kind, labels (their names), series (how many), first_at and last_at."""
    return _metrics().order_by(AnalyticsMetric.name)


@cache
def get_metric() -> Executable:
    """As `list_metrics`, for the metric `of`."""
    return _metrics().where(AnalyticsMetric.name == bindparam("of", type_=Text))


def read_samples(query: SampleQuery, limit: int) -> Executable:
    """A row per series, in a stable order: its labels, times and values. Up to `limit` points in all."""
    wanted = _wanted(query)
    moments = _moments(query, wanted)
    at = func.date_bin(
        interval(literal(query.bucket_s)), moments.c.bucket, literal(EPOCH, DateTime(timezone=True)), type_=DateTime
    )
    value = _AGGREGATES[query.aggregation](moments.c.value, moments.c.bucket)
    cells = (
        select(moments.c.place, at.label("at"), value.label("value"))
        .group_by(moments.c.place, at)
        .order_by(moments.c.place, at)
        .limit(limit)
        .cte("cells")
    )
    groups = select(wanted.c.place, wanted.c.labels).distinct().cte("groups")
    return (
        select(
            groups.c.labels,
            func.array_agg(aggregate_order_by(cells.c.at, cells.c.at)).label("times"),
            func.array_agg(aggregate_order_by(cells.c.value, cells.c.at)).label("values"),
        )
        .join_from(cells, groups, groups.c.place == cells.c.place)
        .group_by(groups.c.place, groups.c.labels)
        .order_by(groups.c.place)
    )


def _metrics() -> Select[Any]:
    series = select(AnalyticsSeries.id, AnalyticsSeries.labels).where(AnalyticsSeries.metric == AnalyticsMetric.name)
    its = series.correlate(AnalyticsMetric).subquery("its")
    edges = select(
        func.count().label("series"), func.min(_edge(func.min, its)).label("first"), func.max(_edge(func.max, its))
    ).select_from(its)
    found = edges.lateral("found")
    keys = func.jsonb_object_keys(its.c.labels).table_valued("key", name="keys").render_derived()
    names = select(func.array_agg(aggregate_order_by(keys.c.key.distinct(), keys.c.key)))
    names = names.select_from(its).join(keys, literal(True))
    return select(
        AnalyticsMetric.name,
        AnalyticsMetric.description,
        AnalyticsMetric.unit,
        AnalyticsMetric.kind,
        func.coalesce(names.scalar_subquery(), literal_column("'{}'::text[]")).label("labels"),
        found.c[0].label("series"),
        found.c[1].label("first_at"),
        found.c[2].label("last_at"),
    ).join_from(AnalyticsMetric, found, literal(True))


def _edge(of: Callable[[Any], Any], its: Any) -> Any:
    """The first or last bucket of a series, by a lookup in the primary key; aggregating all samples would be slow."""
    edge = select(of(AnalyticsSample.bucket)).where(AnalyticsSample.series_id == its.c.id)
    return edge.correlate(its).scalar_subquery()


def _wanted(question: SampleQuery) -> CTE:
    """The series to read, each with the labels of its group and the group's position in the result."""
    labels = _group(question.group_by)
    place = func.dense_rank().over(order_by=labels)
    statement = select(AnalyticsSeries.id, labels.label("labels"), place.label("place"))
    statement = statement.where(AnalyticsSeries.metric == question.metric)
    if question.labels:
        statement = statement.where(AnalyticsSeries.labels.contains(dict(question.labels)))
    return statement.cte("wanted")


def _group(names: Sequence[str] | None) -> ColumnElement[Any]:
    """The labels by which series are grouped."""
    if names is None:
        return AnalyticsSeries.labels.expression
    pairs = func.jsonb_each(AnalyticsSeries.labels).table_valued("key", "value", name="pairs").render_derived()
    chosen = select(func.jsonb_object_agg(pairs.c.key, pairs.c.value)).where(pairs.c.key.in_(list(names)))
    return func.coalesce(chosen.scalar_subquery(), literal_column("'{}'::jsonb", JSONB))


def _moments(question: SampleQuery, wanted: CTE) -> CTE:
    """(place, bucket, value): one value of each group at each moment."""
    rows = (
        select(wanted.c.place, AnalyticsSample.bucket)
        .join_from(wanted, AnalyticsSample, AnalyticsSample.series_id == wanted.c.id)
        .where(AnalyticsSample.bucket >= question.start, AnalyticsSample.bucket < question.end)
    )
    if question.group_by is None:
        return rows.add_columns(AnalyticsSample.value).cte("moments")
    value = _AGGREGATES[question.group_aggregation](AnalyticsSample.value, AnalyticsSample.bucket)
    return rows.add_columns(value.label("value")).group_by(wanted.c.place, AnalyticsSample.bucket).cte("moments")


def _last(value: ColumnElement[float], at: ColumnElement[datetime]) -> ColumnElement[float]:
    newest: ColumnElement[Any] = func.array_agg(aggregate_order_by(value, at.desc()))
    return newest[1]


_AGGREGATES: Mapping[Aggregation, Callable[[Any, Any], ColumnElement[Any]]] = {
    Aggregation.SUM: lambda value, _: func.sum(value),
    Aggregation.AVG: lambda value, _: func.avg(value),
    Aggregation.MIN: lambda value, _: func.min(value),
    Aggregation.MAX: lambda value, _: func.max(value),
    Aggregation.LAST: _last,
}
