"""`task-cli serve`: becomes a worker."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import click

from taskclient.cli.command import Command
from taskclient.cli.exit_codes import ExitCode, exit_with_error
from taskclient.cli.session import Session

WORKER = "taskworker"
LOG_LEVEL_VARIABLE = "TASKCORE_LOG__LEVEL"


@click.command("serve", cls=Command)
@click.pass_obj
def serve(session: Session) -> NoReturn:
    """Start a worker, in place of this program.

    Needs `taskworker` installed beside task-cli. It has settings of its own (TASKCORE_…), of which --log-level is
    one; it works from the database, so that --address means nothing to it.
    """
    worker = next((path for path in _places() if os.access(path, os.X_OK)), None)
    if worker is None:
        exit_with_error(
            f"there is no {WORKER} beside {sys.executable}: install the package {WORKER} in the same environment",
            ExitCode.ERROR,
        )
    level = {LOG_LEVEL_VARIABLE: session.log_level} if session.log_level else {}
    os.execve(worker, [str(worker), "run"], {**os.environ, **level})


def _places() -> Iterator[Path]:
    yield Path(sys.executable).with_name(WORKER)
    yield Path(sysconfig.get_path("scripts")) / WORKER
