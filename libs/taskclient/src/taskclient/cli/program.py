"""The root command of `task-cli`: the shared options and all commands."""

from __future__ import annotations

import sys
from typing import Any

import click

from taskclient.cli.analytics.commands import analytics
from taskclient.cli.command import Group
from taskclient.cli.end2end import end2end
from taskclient.cli.exit_codes import ExitCode, exit_on_error
from taskclient.cli.kubernetes.alerts import alert, alerts
from taskclient.cli.kubernetes.events import event, events
from taskclient.cli.lists import task_type, worker
from taskclient.cli.options import shared_options
from taskclient.cli.output.writer import discard_output
from taskclient.cli.queue import queue
from taskclient.cli.schedule.group import schedule
from taskclient.cli.serve import serve
from taskclient.cli.setting import setting
from taskclient.cli.task.group import task
from taskclient.cli.task.show import history, trace
from taskclient.cli.version import version_option


class Program(Group):
    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command, or print what Click prints itself: help, the version and errors."""
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            discard_output()
            click.echo(f"Error: cannot write the output: {error.strerror}", err=True)
            sys.exit(ExitCode.ERROR)

    def invoke(self, ctx: click.Context) -> Any:
        with exit_on_error():
            return super().invoke(ctx)


@click.group(
    cls=Program,
    params=[
        *shared_options(address_variable="TASKCORE_ADDRESS", user_variable="TASKCORE_USER"),
        version_option(),
    ],
)
def program() -> None:
    """Submit tasks to Taskcore, and inspect and control them.

    \b
    Exit codes: 0 done, 1 the server refused or could not be reached, 2 usage,
    3 the task failed or was cancelled, 4 timed out, 130 interrupted.
    """  # noqa: D301  # \b keeps click from wrapping


for command in (
    task,
    history,
    trace,
    schedule,
    worker,
    queue,
    task_type,
    setting,
    analytics,
    events,
    event,
    alerts,
    alert,
    serve,
    end2end,
):
    program.add_command(command)
