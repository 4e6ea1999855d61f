"""Usage analytics: metrics, their samples, and how far each source has been sampled."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, Date, ForeignKey, Identity, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from taskcore.db.models.base import Model, one_of
from taskcore.domain.metrics import Kind


class AnalyticsMetric(Model):
    """A metric as its source describes it. `kind` is `gauge` or `count`: see `taskcore.metrics`."""

    __tablename__ = "analytics_metric"

    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    unit: Mapped[str]
    kind: Mapped[str]
    source: Mapped[str]

    __table_args__ = (CheckConstraint(one_of("kind", Kind), name="kind"),)


class AnalyticsSeries(Model):
    """A metric with one set of labels."""

    __tablename__ = "analytics_series"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    metric: Mapped[str]
    labels: Mapped[dict[str, Any]]

    __table_args__ = (UniqueConstraint("metric", "labels", name="analytics_series_key"),)


class AnalyticsSample(Model):
    """A value of a series in a bucket, identified by the bucket's start.

    The first one stays: sampling twice changes nothing.
    """

    __tablename__ = "analytics_sample"

    series_id: Mapped[int] = mapped_column(
        ForeignKey("analytics_series.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    bucket: Mapped[datetime] = mapped_column(primary_key=True)
    value: Mapped[float]

    __table_args__ = (Index("analytics_sample_bucket", "bucket"),)


class AnalyticsCursor(Model):
    """How far a source has been sampled, written in one transaction with its samples.

    For a source that counts events, the time up to which it has counted; for others, the last bucket that has their
    samples.
    """

    __tablename__ = "analytics_cursor"

    source: Mapped[str] = mapped_column(primary_key=True)
    until: Mapped[datetime]


class SubmitterDay(Model):
    """A user submitted at least one task on this day (UTC). Outlives the tasks."""

    __tablename__ = "submitter_day"

    day: Mapped[date] = mapped_column(Date(), primary_key=True)
    submitter: Mapped[str] = mapped_column(primary_key=True)

    __table_args__ = (Index("submitter_day_first", "submitter", "day"),)
