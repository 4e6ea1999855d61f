"""`taskcore-standalone`: start PostgreSQL, upgrade its schema, and run all services in this process."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr
from sqlalchemy.exc import OperationalError

from taskapi.server import require_free_ports
from taskcore.db import migrations
from taskcore.errors import TaskcoreError, first_line
from taskcore.service_main import configure, run_program, version_option
from taskcore.settings import DatabaseSettings, Settings, SmtpSettings
from taskcore.sockets import local_url
from taskstandalone.postgres.embedded_postgres import EmbeddedPostgres
from taskstandalone.postgres.paths import PostgresFailed
from taskstandalone.process import serve


@click.command()
@version_option
def run() -> None:
    """Run all of Taskcore in one process, with a PostgreSQL of its own. Whatever can be chosen is a setting."""
    settings = configure(brings_database=True)
    require_free_ports(settings)
    with EmbeddedPostgres(settings.data_dir) as postgres:
        _upgrade(postgres)
        asyncio.run(_run(settings, postgres.url, postgres.queries_url))


def _upgrade(postgres: EmbeddedPostgres) -> None:
    try:
        migrations.upgrade(postgres.url)
    except OperationalError as exc:  # such as a full disk
        raise PostgresFailed(f"the database in {postgres.data_dir}: {first_line(exc.orig or exc)}") from exc


async def _run(settings: Settings, database_url: str, queries_url: str) -> None:
    """Serve with the embedded databases and, unless a mail server is configured, a local mailbox."""
    databases = {"default": DatabaseSettings.model_validate({"url": queries_url}), **settings.databases}
    database = {"database_url": SecretStr(database_url), "database_direct_url": None, "database_pooler": "none"}
    address = local_url(settings.api.host, settings.api.port)
    trace_url = settings.trace_url_template or f"{address}/tasks/{{task_id}}/trace#{{trace_id}}"
    complete = settings.model_copy(update={**database, "databases": databases, "trace_url_template": trace_url})
    if "smtp" in settings.model_fields_set:
        await serve(complete)
        return
    async with _run_mailbox(settings.data_dir.resolve() / "mail") as smtp:
        await serve(complete.model_copy(update={"smtp": smtp}))


@asynccontextmanager
async def _run_mailbox(directory: Path) -> AsyncIterator[SmtpSettings]:
    """Run a mail server that stores every message in a Maildir. Yield the settings to reach it on this machine."""
    try:
        handler = Mailbox(directory)  # it creates the Maildir
    except OSError as exc:
        raise TaskcoreError(f"{exc.filename or directory}: {exc.strerror or exc}") from exc
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    try:
        yield SmtpSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()


def main() -> int:
    return run_program("taskcore-standalone", run)


if __name__ == "__main__":
    logging.captureWarnings(True)
    sys.exit(main())
