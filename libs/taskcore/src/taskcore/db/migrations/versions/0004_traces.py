"""Traces: who submitted a task, and its attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("task", sa.Column("trace_context", sa.Text(), nullable=True))
    op.create_index("task_traced", "task", ["id"], postgresql_where=sa.text("trace_context IS NOT NULL"))
    op.add_column("task_attempt", sa.Column("trace_id", sa.Text(), nullable=True))
    op.add_column("task_attempt", sa.Column("span_id", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("task_attempt", "span_id")
    op.drop_column("task_attempt", "trace_id")
    op.drop_index("task_traced", "task")
    op.drop_column("task", "trace_context")
