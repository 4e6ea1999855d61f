"""What the person in front of the terminal sees, and the check that comes before everything else."""

from __future__ import annotations

import socket

from taskcore.errors import TaskcoreError
from taskcore.settings import Settings


def require_free_port(settings: Settings) -> None:
    """Raise `TaskcoreError`, before anything is started, when the API could not listen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.api.host, settings.api.port))
        except OSError as exc:
            raise TaskcoreError(
                f"cannot listen on {settings.api.host}:{settings.api.port} ({exc.strerror}); choose another port: "
                "`make run PORT=8081`, or TASKCORE_API__PORT"
            ) from exc


def address_of(settings: Settings) -> str:
    """Return the URL of the API as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.api.host, settings.api.host)
    return f"http://{host}:{settings.api.port}"


def print_welcome(settings: Settings) -> None:
    address = address_of(settings)
    data_dir = settings.data_dir.resolve()
    print(
        f"\nTaskcore is at {address}\n"
        f"  try         .venv/bin/task-cli --address {address} task create hello --type noop --wait\n"
        f"  contract    {address}/openapi.json\n"
        f"  data        {data_dir}   (mail sent by tasks: {data_dir / 'mail'})\n"
        "  stop        Ctrl-C\n",
        flush=True,
    )


def print_drain_hint(running: int, grace_s: float) -> None:
    """Print how long the drain may take and how to shorten it, unless no task is running."""
    if running:
        print(
            f"Waiting up to {grace_s:g} s for {running} running tasks; press Ctrl-C again to return them to the queue",
            flush=True,
        )
