"""`task-cli serve`: replace this process by a worker."""

from __future__ import annotations

import os
import sys
import sysconfig
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
    """Start a worker in place of this program.

    Requires `taskworker` in the same environment. The worker takes its settings from TASKCORE_… variables. Of the
    options only --log-level applies: a worker connects to the database, not to --address.
    """
    candidates = (Path(sys.executable).with_name(WORKER), Path(sysconfig.get_path("scripts")) / WORKER)
    worker = next((path for path in candidates if os.access(path, os.X_OK)), None)
    if worker is None:
        exit_with_error(
            f"{WORKER} is not installed beside {sys.executable}: install the package {WORKER} in the same environment",
            ExitCode.ERROR,
        )
    level = {LOG_LEVEL_VARIABLE: session.log_level} if session.log_level else {}
    os.execve(worker, [str(worker), "run"], {**os.environ, **level})
