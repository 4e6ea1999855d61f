"""The whole schema. `0001_initial/` has it as SQL, by subject; the models say what each table and column is for."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "schedule_fire",
    "schedule",
    "analytics_sample",
    "analytics_series",
    "analytics_metric",
    "analytics_cursor",
    "submitter_day",
    "alert",
    "k8s_gap",
    "k8s_event",
    "k8s_cursor",
    "collector_lease",
    "setting",
    "queue",
    "worker",
    "task_type",
    "outbox",
    "task_log",
    "task_dependency",
    "task_attempt",
    "task_history",
    "task",
)


def upgrade() -> None:
    for script in sorted(Path(__file__).with_suffix("").glob("*.sql")):
        for statement in script.read_text().split(";\n\n"):  # psycopg takes one statement at a time
            op.execute(statement)


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    op.execute("DROP SEQUENCE worker_lock_id")
    op.execute("DROP FUNCTION lock_history_shared")
    op.execute("DROP FUNCTION serialize_inserts")
