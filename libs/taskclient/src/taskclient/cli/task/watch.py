"""`task-cli task watch`: the transitions, progress and log lines of a task as they happen."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

import click

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id, takes_timeout
from taskclient.cli.output.formatting import format_cell
from taskclient.cli.output.stream import StreamPrinter
from taskclient.cli.session import Session
from taskclient.cli.task.wait import exit_by_status
from taskclient.models import HistoryEntry, LogLine, Task
from taskclient.task_streams import ActivityStream, Progress, follow_task

Activity = HistoryEntry | Progress | LogLine


@click.command("watch", cls=Command)
@takes_task_id
@takes_timeout
@click.pass_obj
def watch(session: Session, task_id: int, timeout: timedelta | None) -> None:
    """Show the transitions, progress and log lines of a task until it has finished.

    With -o json, print one document per line. Exit with 0 if the task succeeded, 3 if it did not, 4 on timeout.
    """
    with session.client() as client:
        print_and_exit(session, follow_task(client, task_id, ActivityStream(client, task_id).read_new, timeout))


def print_and_exit(session: Session, activity: Generator[Activity, None, Task]) -> None:
    """Print each record as it arrives, and exit by the task's status."""
    task = _PRINTER.print(activity, session.output)
    if task is not None:
        exit_by_status(task)


def _to_line(record: Activity) -> str:
    match record:
        case LogLine(at=at, level=level, message=message, fields=fields):
            return f"{format_cell(at)}  {level:<8} {message}" + (f"  {format_cell(fields)}" if fields else "")
        case Progress(progress=progress):
            return f"{'':<20}  progress {format_cell(progress)}"
        case HistoryEntry(at=at, from_status=old, to_status=new, attempt=attempt, actor=actor):
            transition = f"{old or '(new)'} -> {new or '(deleted)'}"
            return f"{format_cell(at)}  status   {transition} (attempt {attempt}, by {actor})"


_PRINTER = StreamPrinter[Activity]({HistoryEntry: "transition", Progress: "progress", LogLine: "log"}, _to_line)
