"""A mail server for trying things out: it takes every message and keeps it in a Maildir, where it can be read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiosmtpd.handlers import Mailbox
from aiosmtpd.smtp import SMTP

from taskcore.settings import SmtpSettings


@asynccontextmanager
async def run_mailbox(directory: Path) -> AsyncIterator[SmtpSettings]:
    """Listens on a free port of the loopback interface; answers the settings that reach it."""
    directory.parent.mkdir(parents=True, exist_ok=True)  # the Maildir itself is made by its own class
    handler = Mailbox(directory)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    try:
        yield SmtpSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
