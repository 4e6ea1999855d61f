"""A local mail server for development, which stores every message in a Maildir."""

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
    """Listen on a free port of the loopback interface, and yield the settings to reach it."""
    directory.parent.mkdir(parents=True, exist_ok=True)  # the handler creates the Maildir itself
    handler = Mailbox(directory)
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(handler), "127.0.0.1", 0)
    try:
        yield SmtpSettings(host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
