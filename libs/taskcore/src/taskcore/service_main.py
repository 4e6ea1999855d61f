"""What every service's program does first: read the settings, start logging, and report an error that stops it."""

from __future__ import annotations

import sys
from collections.abc import Callable

from taskcore.db.pooler_check import check_pooler
from taskcore.errors import TaskcoreError
from taskcore.observability.logging import configure_logging
from taskcore.settings import Settings, load_settings


def configure(log_level: str | None) -> Settings:
    """Load the settings, configure logging, and check the database if it is available.

    `log_level` comes from the command line and wins over `log.level`. Raises `InvalidSettings`.
    """
    settings = load_settings()
    if log_level is not None:
        settings = settings.model_copy(update={"log": settings.log.model_copy(update={"level": log_level})})
    configure_logging(settings.log)
    check_pooler(settings)
    return settings


def run_program(name: str, command: Callable[..., object]) -> int:
    """Run the click `command` as program `name`; a `TaskcoreError` is one line on stderr and exit status 2."""
    try:
        command(prog_name=name)
    except TaskcoreError as exc:
        print(f"{name}: {exc}", file=sys.stderr)
        return 2
    return 0
