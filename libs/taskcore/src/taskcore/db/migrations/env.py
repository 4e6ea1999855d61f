"""Run by Alembic for every command: our models, on the connection that `taskcore.db.migrations` passes in."""

from __future__ import annotations

from alembic import context

from taskcore.db.models import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
