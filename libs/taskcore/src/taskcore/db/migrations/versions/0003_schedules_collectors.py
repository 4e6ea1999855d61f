"""Schedules, analytics, and the events of Kubernetes clusters with their alerts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Who adds to what is followed waits for the one before, so that ids are visible in their order: a reader who goes on
# behind the last id that he saw misses none. One process writes for a cluster, so it is clusters that take turns.
LOCK_FOLLOWED = """
    CREATE FUNCTION serialize_inserts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1951622763, 1);
        RETURN NULL;
    END
    $$
"""
FOLLOWED = ("k8s_event", "k8s_gap", "alert")


def upgrade() -> None:
    op.add_column("queue", sa.Column("paused_by", sa.Text(), nullable=True))
    op.create_table(
        "alert",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("alert_pkey")),
    )
    op.create_index(
        "alert_inactive",
        "alert",
        ["cluster", "seen_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(
        "alert_resolved",
        "alert",
        ["resolved_at"],
        unique=False,
        postgresql_where=sa.text("resolved_at IS NOT NULL"),
    )
    op.create_index("alert_unresolved", "alert", ["id"], unique=False, postgresql_where=sa.text("resolved_at IS NULL"))
    op.create_index(
        "alert_open",
        "alert",
        ["cluster", "namespace", "kind", "name", "reason"],
        unique=True,
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_table(
        "analytics_cursor",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("source", name=op.f("analytics_cursor_pkey")),
    )
    op.create_table(
        "analytics_metric",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('gauge', 'count')", name=op.f("analytics_metric_kind_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("analytics_metric_pkey")),
    )
    op.create_table(
        "analytics_series",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("labels", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("analytics_series_pkey")),
        sa.UniqueConstraint("metric", "labels", name="analytics_series_key"),
    )
    op.create_table(
        "collector_lease",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("collector_lease_pkey")),
    )
    op.create_table(
        "k8s_cursor",
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("resource_version", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("cluster", "scope", name=op.f("k8s_cursor_pkey")),
    )
    op.create_table(
        "k8s_event",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("resource_version", sa.Text(), nullable=False),
        sa.Column("is_current", sa.Boolean(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("collected_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("k8s_event_pkey")),
        sa.UniqueConstraint("cluster", "uid", "resource_version", name="k8s_event_version_key"),
    )
    op.create_index(
        "k8s_event_current", "k8s_event", ["cluster", "uid"], unique=True, postgresql_where=sa.text("is_current")
    )
    op.create_index("k8s_event_newest", "k8s_event", ["at", "id"], unique=False, postgresql_where=sa.text("is_current"))
    for column in ("namespace", "name", "reason"):
        op.create_index(
            f"k8s_event_{column}",
            "k8s_event",
            [column, "at", "id"],
            unique=False,
            postgresql_where=sa.text("is_current"),
        )
    op.create_index(
        "k8s_event_of_task",
        "k8s_event",
        ["task_id", "id"],
        unique=False,
        postgresql_where=sa.text("task_id IS NOT NULL AND is_current"),
    )
    op.create_table(
        "k8s_gap",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("cluster", sa.Text(), nullable=False),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.Column("from_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("until_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('lost', 'rate_limited')", name=op.f("k8s_gap_kind_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("k8s_gap_pkey")),
    )
    op.create_index("k8s_gap_newest", "k8s_gap", ["until_at", "id"], unique=False)
    op.create_table(
        "schedule",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("cron", sa.Text(), nullable=True),
        sa.Column("every_s", sa.Double(), nullable=True),
        sa.Column("anchor_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=False),
        sa.Column("jitter_s", sa.Double(), nullable=False),
        sa.Column("overlap", sa.Text(), nullable=False),
        sa.Column("catch_up", sa.Text(), nullable=False),
        sa.Column("catch_up_limit", sa.Integer(), nullable=False),
        sa.Column("run_at_start", sa.Boolean(), nullable=False),
        sa.Column("task", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("managed_by", sa.Text(), nullable=True),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("missed", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("catch_up IN ('none', 'last', 'all')", name=op.f("schedule_catch_up_check")),
        sa.CheckConstraint("overlap IN ('skip', 'queue', 'allow')", name=op.f("schedule_overlap_check")),
        sa.CheckConstraint("(cron IS NULL) <> (every_s IS NULL)", name=op.f("schedule_times_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_pkey")),
        sa.UniqueConstraint("name", name=op.f("schedule_name_key")),
    )
    op.create_index(
        "schedule_due",
        "schedule",
        ["next_at"],
        unique=False,
        postgresql_where=sa.text("paused_at IS NULL AND next_at IS NOT NULL"),
    )
    op.create_table(
        "submitter_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("submitter", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day", "submitter", name=op.f("submitter_day_pkey")),
    )
    op.create_index("submitter_day_first", "submitter_day", ["submitter", "day"], unique=False)
    op.create_table(
        "analytics_sample",
        sa.Column("series_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("bucket", sa.DateTime(timezone=True), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["analytics_series.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("series_id", "bucket", name=op.f("analytics_sample_pkey")),
    )
    op.create_index("analytics_sample_bucket", "analytics_sample", ["bucket"], unique=False)
    op.create_table(
        "schedule_fire",
        sa.Column("schedule_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("waits", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["schedule_id"], ["schedule.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("schedule_id", "due_at", name=op.f("schedule_fire_pkey")),
    )
    op.create_index(
        "schedule_fire_task",
        "schedule_fire",
        ["schedule_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("task_id IS NOT NULL"),
    )
    op.create_index(
        "schedule_fire_waiting",
        "schedule_fire",
        ["schedule_id", "due_at"],
        unique=False,
        postgresql_where=sa.text("waits"),
    )
    op.execute(LOCK_FOLLOWED)
    for table in FOLLOWED:
        op.execute(
            f"CREATE TRIGGER {table}_lock BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION serialize_inserts()"
        )


def downgrade() -> None:
    for table in FOLLOWED:
        op.execute(f"DROP TRIGGER {table}_lock ON {table}")
    op.execute("DROP FUNCTION serialize_inserts")
    op.drop_index("schedule_fire_waiting", table_name="schedule_fire", postgresql_where=sa.text("waits"))
    op.drop_index("schedule_fire_task", table_name="schedule_fire", postgresql_where=sa.text("task_id IS NOT NULL"))
    op.drop_table("schedule_fire")
    op.drop_index("analytics_sample_bucket", table_name="analytics_sample")
    op.drop_table("analytics_sample")
    op.drop_index("submitter_day_first", table_name="submitter_day")
    op.drop_table("submitter_day")
    op.drop_index(
        "schedule_due", table_name="schedule", postgresql_where=sa.text("paused_at IS NULL AND next_at IS NOT NULL")
    )
    op.drop_table("schedule")
    op.drop_index("k8s_gap_newest", table_name="k8s_gap")
    op.drop_table("k8s_gap")
    op.drop_index(
        "k8s_event_of_task", table_name="k8s_event", postgresql_where=sa.text("task_id IS NOT NULL AND is_current")
    )
    for column in ("reason", "name", "namespace"):
        op.drop_index(f"k8s_event_{column}", table_name="k8s_event", postgresql_where=sa.text("is_current"))
    op.drop_index("k8s_event_newest", table_name="k8s_event", postgresql_where=sa.text("is_current"))
    op.drop_index("k8s_event_current", table_name="k8s_event", postgresql_where=sa.text("is_current"))
    op.drop_table("k8s_event")
    op.drop_table("k8s_cursor")
    op.drop_table("collector_lease")
    op.drop_table("analytics_series")
    op.drop_table("analytics_metric")
    op.drop_table("analytics_cursor")
    op.drop_index("alert_open", table_name="alert", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_index("alert_resolved", table_name="alert", postgresql_where=sa.text("resolved_at IS NOT NULL"))
    op.drop_index("alert_unresolved", table_name="alert", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_index("alert_inactive", table_name="alert", postgresql_where=sa.text("resolved_at IS NULL"))
    op.drop_table("alert")
    op.drop_column("queue", "paused_by")
