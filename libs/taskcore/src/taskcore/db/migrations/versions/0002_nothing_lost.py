"""Dependencies, pauses, checkpoints, logs, live settings, crash counts, and the witness of a worker's life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATUSES_BEFORE = "'scheduled', 'queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled'"
_STATUSES = _STATUSES_BEFORE + ", 'blocked', 'paused', 'cancelling'"

#: Whoever writes history holds this lock, shared, from before its first id until it commits: see `taskcore.db.tasks.history_feed`.
LOCK_HISTORY = """
CREATE FUNCTION lock_history_shared() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(1951622763, 0);
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("setting_pkey")),
    )
    op.create_table(
        "task_dependency",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("depends_on", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "depends_on", name=op.f("task_dependency_pkey")),
    )
    op.create_index("task_dependency_of", "task_dependency", ["depends_on", "task_id"], unique=False)
    op.create_table(
        "task_log",
        sa.Column("task_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("fields", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("task_id", "attempt", "line", name=op.f("task_log_pkey")),
    )
    op.add_column("queue", sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("queue", sa.Column("pause_reason", sa.Text(), nullable=True))
    op.create_index("queue_paused", "queue", ["name"], unique=False, postgresql_where=sa.text("paused_at IS NOT NULL"))
    op.add_column("task", sa.Column("timeout_s", sa.Double(), nullable=True))
    op.add_column("task", sa.Column("delete_after_s", sa.Double(), nullable=True))
    op.add_column("task", sa.Column("crashes", sa.SmallInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("task", sa.Column("isolated", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("task", sa.Column("pause_requested", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("task", sa.Column("delete_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "task", sa.Column("progress", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "task", sa.Column("checkpoint", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("task", sa.Column("dependents_state", sa.Text(), nullable=True))
    op.drop_index(op.f("task_active"), table_name="task")
    op.create_index(
        "task_delete_at", "task", ["delete_at"], unique=False, postgresql_where=sa.text("delete_at IS NOT NULL")
    )
    op.create_index(
        "task_held",
        "task",
        ["worker_id", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('running', 'cancelling')"),
    )
    op.create_index(
        "task_idle",
        "task",
        ["status", "id"],
        unique=False,
        postgresql_where=sa.text("status IN ('blocked', 'scheduled', 'queued', 'retrying', 'paused')"),
    )
    op.create_index(
        "task_dependents_pending",
        "task",
        ["id"],
        unique=False,
        postgresql_where=sa.text(
            "dependents_state = 'rearm' OR dependents_state = 'awaited' AND status IN ('succeeded', 'failed', 'cancelled')"
        ),
    )
    op.add_column("task_type", sa.Column("timeout_s", sa.Double(), nullable=True))
    op.add_column("task_type", sa.Column("isolation", sa.Text(), server_default=sa.text("'thread'"), nullable=False))
    op.add_column("task_type", sa.Column("can_cancel", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("task_type", sa.Column("can_pause", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("worker", sa.Column("lock_id", sa.Integer(), nullable=True))
    op.drop_constraint(op.f("task_status_check"), "task")
    op.create_check_constraint(op.f("task_status_check"), "task", f"status IN ({_STATUSES})")
    op.create_check_constraint(
        op.f("task_dependents_check"), "task", "dependents_state IN ('pending', 'resolved', 'reblock')"
    )
    op.execute("CREATE SEQUENCE worker_lock_id AS integer CYCLE")
    op.execute(LOCK_HISTORY)
    op.execute(
        "CREATE TRIGGER task_history_lock BEFORE INSERT ON task_history"
        " FOR EACH STATEMENT EXECUTE FUNCTION lock_history_shared()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER task_history_lock ON task_history")
    op.execute("DROP FUNCTION lock_history_shared")
    op.execute("DROP SEQUENCE worker_lock_id")
    op.drop_constraint(op.f("task_dependents_check"), "task")
    op.execute("DELETE FROM task WHERE status IN ('blocked', 'paused', 'cancelling')")
    op.drop_constraint(op.f("task_status_check"), "task")
    op.create_check_constraint(op.f("task_status_check"), "task", f"status IN ({_STATUSES_BEFORE})")
    op.drop_column("worker", "lock_id")
    op.drop_column("task_type", "can_pause")
    op.drop_column("task_type", "can_cancel")
    op.drop_column("task_type", "isolation")
    op.drop_column("task_type", "timeout_s")
    op.drop_index(
        "task_dependents_pending",
        table_name="task",
        postgresql_where=sa.text(
            "dependents_state = 'rearm' OR dependents_state = 'awaited' AND status IN ('succeeded', 'failed', 'cancelled')"
        ),
    )
    op.drop_index(
        "task_idle",
        table_name="task",
        postgresql_where=sa.text("status IN ('blocked', 'scheduled', 'queued', 'retrying', 'paused')"),
    )
    op.drop_index("task_held", table_name="task", postgresql_where=sa.text("status IN ('running', 'cancelling')"))
    op.drop_index("task_delete_at", table_name="task", postgresql_where=sa.text("delete_at IS NOT NULL"))
    op.create_index(
        op.f("task_active"),
        "task",
        ["status", "id"],
        unique=False,
        postgresql_where="(status = ANY (ARRAY['scheduled'::text, 'queued'::text, 'running'::text, 'retrying'::text]))",
    )
    op.drop_column("task", "dependents_state")
    op.drop_column("task", "checkpoint")
    op.drop_column("task", "progress")
    op.drop_column("task", "delete_at")
    op.drop_column("task", "pause_requested")
    op.drop_column("task", "isolated")
    op.drop_column("task", "crashes")
    op.drop_column("task", "delete_after_s")
    op.drop_column("task", "timeout_s")
    op.drop_index("queue_paused", table_name="queue", postgresql_where=sa.text("paused_at IS NOT NULL"))
    op.drop_column("queue", "pause_reason")
    op.drop_column("queue", "paused_at")
    op.drop_table("task_log")
    op.drop_index("task_dependency_of", table_name="task_dependency")
    op.drop_table("task_dependency")
    op.drop_table("setting")
