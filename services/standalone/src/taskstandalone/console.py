"""What the person in front of the terminal sees."""

from __future__ import annotations

from taskcore.settings import Settings
from taskcore.sockets import local_url


def print_welcome(settings: Settings) -> None:
    address = local_url(settings.api.host, settings.api.port)
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
