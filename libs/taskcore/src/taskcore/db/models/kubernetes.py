"""The events of Kubernetes clusters, how far they were read, gaps in them, and the alerts they opened."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, Identity, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from taskcore.db.models.base import Model, now, one_of
from taskcore.domain.events import GapKind


class CollectorLease(Model):
    """Which of several copies of a collector is active.

    `epoch` grows with each holder and fences its predecessor's writes.
    """

    __tablename__ = "collector_lease"

    name: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    epoch: Mapped[int]
    expires_at: Mapped[datetime]


class K8sCursor(Model):
    """Up to where the events of a cluster, or of one of its namespaces, are stored.

    Written in one transaction with them.
    """

    __tablename__ = "k8s_cursor"

    cluster: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)  # a namespace; empty: all of them
    resource_version: Mapped[str]
    seen_at: Mapped[datetime]  # when the last event or bookmark came
    set_back_at: Mapped[datetime | None]  # when the cluster was found at an earlier version than before


class K8sEvent(Model):
    """A version of an event, as reported by the cluster.

    The newest version of a `uid` is current and has the total count.
    """

    __tablename__ = "k8s_event"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    cluster: Mapped[str]
    uid: Mapped[str]
    resource_version: Mapped[str]
    is_current: Mapped[bool]
    namespace: Mapped[str]
    kind: Mapped[str]  # of the object that the event is about, as is `name`
    name: Mapped[str]
    reason: Mapped[str]
    type: Mapped[str]
    message: Mapped[str]
    component: Mapped[str]  # that reported it
    count: Mapped[int]
    first_at: Mapped[datetime]
    at: Mapped[datetime]
    task_id: Mapped[int | None]
    collected_at: Mapped[datetime] = now()

    __table_args__ = (
        UniqueConstraint("cluster", "uid", "resource_version", name="k8s_event_version_key"),
        Index("k8s_event_current", "cluster", "uid", unique=True, postgresql_where=text("is_current")),
        Index("k8s_event_newest", "at", "id", postgresql_where=text("is_current")),
        Index("k8s_event_namespace", "namespace", "at", "id", postgresql_where=text("is_current")),
        Index("k8s_event_name", "name", "at", "id", postgresql_where=text("is_current")),
        Index("k8s_event_reason", "reason", "at", "id", postgresql_where=text("is_current")),
        Index("k8s_event_of_task", "task_id", "id", postgresql_where=text("task_id IS NOT NULL AND is_current")),
    )


class K8sGap(Model):
    """A gap in the stored events: `lost`, or `rate_limited`, when only the number of events was kept."""

    __tablename__ = "k8s_gap"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    cluster: Mapped[str]
    namespace: Mapped[str]  # empty: all
    kind: Mapped[str]
    reason: Mapped[str | None]  # of the events that were only counted
    count: Mapped[int | None]  # NULL: unknown
    from_at: Mapped[datetime]
    until_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint(one_of("kind", GapKind), name="kind"),
        Index("k8s_gap_newest", "until_at", "id"),
    )


class Alert(Model):
    """Events selected by a rule, counted as one. At most one alert is open per object and reason.

    In an alert for a group of objects, the namespace is `*` and the name `*` and the rule.
    """

    __tablename__ = "alert"

    id: Mapped[int] = mapped_column(Identity(always=True), primary_key=True)
    rule: Mapped[str]
    cluster: Mapped[str]
    namespace: Mapped[str]
    kind: Mapped[str]
    name: Mapped[str]
    reason: Mapped[str]
    type: Mapped[str]
    message: Mapped[str]  # of the last event
    count: Mapped[int]
    first_at: Mapped[datetime]
    last_at: Mapped[datetime]
    opened_at: Mapped[datetime] = now()  # by the database's clock
    seen_at: Mapped[datetime] = now()  # when its last event was stored, by the database's clock
    task_id: Mapped[int | None]  # submitted when it opened
    resolved_at: Mapped[datetime | None]
    resolved_by: Mapped[str | None]

    __table_args__ = (
        Index(
            "alert_open",
            "cluster",
            "namespace",
            "kind",
            "name",
            "reason",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("alert_unresolved", "id", postgresql_where=text("resolved_at IS NULL")),
        Index("alert_resolved", "resolved_at", postgresql_where=text("resolved_at IS NOT NULL")),
        Index("alert_inactive", "cluster", "seen_at", postgresql_where=text("resolved_at IS NULL")),
    )
