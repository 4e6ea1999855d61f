"""`taskcore-standalone`: start PostgreSQL, upgrade its schema, and run all services in this process."""

from __future__ import annotations

import asyncio
import logging
import sys

from pydantic import SecretStr

from taskcore.db import migrations
from taskcore.errors import TaskcoreError
from taskcore.observability.logging import configure_logging
from taskcore.settings import DatabaseSettings, Settings, load_settings
from taskstandalone.console import address_of, require_free_port
from taskstandalone.mailbox import run_mailbox
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskstandalone.process import serve


def main() -> int:
    try:
        settings = load_settings()
        configure_logging(settings.log)
        require_free_port(settings)
        with EmbeddedPostgres(settings.data_dir) as postgres:
            migrations.upgrade(postgres.url)
            asyncio.run(_run(settings, postgres.url))
    except TaskcoreError as exc:
        print(f"taskcore-standalone: {exc}", file=sys.stderr)
        return 1
    return 0


async def _run(settings: Settings, database_url: str) -> None:
    """Serve with the embedded database and, unless a mail server is configured, a local mailbox."""
    databases = {"default": DatabaseSettings.model_validate({"url": database_url}), **settings.databases}
    trace_url = settings.trace_url_template or f"{address_of(settings)}/tasks/{{task_id}}/trace#{{trace_id}}"
    complete = settings.model_copy(
        update={"database_url": SecretStr(database_url), "databases": databases, "trace_url_template": trace_url}
    )
    if "smtp" in settings.model_fields_set:
        await serve(complete)
        return
    async with run_mailbox(settings.data_dir.resolve() / "mail") as smtp:
        await serve(complete.model_copy(update={"smtp": smtp}))


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
