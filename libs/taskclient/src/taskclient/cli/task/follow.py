"""`task-cli task watch`, `logs` and `events`: what happens to a task, also while it happens."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta

import click

from taskclient.cli.command import Command
from taskclient.cli.kubernetes.views import EVENT_COLUMNS
from taskclient.cli.kubernetes.views import PRINTER as EVENT_PRINTER
from taskclient.cli.options import takes_follow, takes_task_id, takes_timeout
from taskclient.cli.output.formatting import format_cell
from taskclient.cli.output.stream import S, StreamPrinter
from taskclient.cli.output.views import LOG_COLUMNS
from taskclient.cli.session import Session
from taskclient.cli.task.wait import exit_by_status
from taskclient.kubernetes.streams import task_event_stream
from taskclient.models import HistoryEntry, LogLine, Task
from taskclient.task_streams import ActivityStream, Progress, follow_task, log_stream

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
        stream = ActivityStream(client, task_id)
        _print_and_exit(session, _PRINTER, follow_task(client, task_id, stream.read_new, timeout))


@click.command("logs", cls=Command)
@takes_task_id
@click.option("--attempt", type=click.IntRange(min=1), metavar="A", help="Only lines of this attempt.")
@takes_follow("new lines until the task has finished")
@click.pass_obj
def logs(session: Session, task_id: int, attempt: int | None, follow: bool, timeout: timedelta | None) -> None:
    """Show the log lines of a task, oldest first.

    With --follow, print lines as they arrive (with -o json, one document per line) and exit with 0 once the task has
    succeeded, 3 if it did not succeed, 4 on timeout.
    """
    with session.client() as client:
        stream = log_stream(client, task_id, attempt)
        if follow:
            _print_and_exit(session, _PRINTER, follow_task(client, task_id, lambda _: stream.read_new(), timeout))
        else:
            session.show_list(list(stream.read_new()), LOG_COLUMNS)


@click.command("events", cls=Command)
@takes_task_id
@takes_follow("new events until the task has finished")
@click.pass_obj
def events(session: Session, task_id: int, follow: bool, timeout: timedelta | None) -> None:
    """Show the Kubernetes events about a task's pods, in the order of their arrival.

    With --follow, exit with 0 once the task has succeeded, 3 if it did not succeed, 4 on timeout.
    """
    with session.client() as client:
        stream = task_event_stream(client, task_id)
        if follow:
            _print_and_exit(session, EVENT_PRINTER, follow_task(client, task_id, lambda _: stream.read_new(), timeout))
        else:
            session.show_list(list(stream.read_new()), EVENT_COLUMNS)


def _print_and_exit(session: Session, printer: StreamPrinter[S], records: Generator[S, None, Task]) -> None:
    """Print each record as it arrives, and exit by the task's status."""
    task = printer.print(records, session.output)
    if task is not None:
        exit_by_status(task)


def _to_line(record: Activity) -> str:
    match record:
        case LogLine(at=at, level=level, message=message, fields=fields):
            return f"{format_cell(at)}  {level:<8} {message}" + (f"  {format_cell(fields)}" if fields else "")
        case Progress(progress=progress):
            return f"{'':<20}  progress {format_cell(progress)}"
        case HistoryEntry(at=at, from_status=old, to_status=new, attempt=attempt, actor=actor, details=details):
            transition = f"{old or '(new)'} -> {new or '(deleted)'}" if old != new else f"{new}, {format_cell(details)}"
            return f"{format_cell(at)}  status   {transition} (attempt {attempt}, by {actor})"


_PRINTER = StreamPrinter[Activity]({HistoryEntry: "transition", Progress: "progress", LogLine: "log"}, _to_line)
