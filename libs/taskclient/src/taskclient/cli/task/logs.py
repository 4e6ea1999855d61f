"""`task-cli task logs` and `task watch`: what a task says and does, as it happens where that is asked for."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import click
import msgspec

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.formatting import escape_control, format_cell
from taskclient.cli.output.views import LOG_COLUMNS
from taskclient.cli.output.writer import OutputFormat, to_yaml, write
from taskclient.cli.session import Session
from taskclient.cli.task.wait import exit_as_task, takes_timeout
from taskclient.cli.worker import show_list
from taskclient.models import HistoryEntry, LogLine, Task
from taskclient.task_streams import ActivityStream, LogStream, Progress, follow_task

StreamItem = HistoryEntry | Progress | LogLine


@click.command("logs", cls=Command)
@takes_task_id
@click.option("--attempt", type=click.IntRange(min=1), metavar="A", help="Only what this attempt said.")
@click.option("-f", "--follow", "is_followed", is_flag=True, help="Go on until the task is over, and end as it does.")
@takes_timeout
@click.pass_obj
def logs(session: Session, task_id: int, attempt: int | None, is_followed: bool, timeout: float | None) -> None:
    """What a task's attempts said, oldest first.

    With --follow each line as it comes (with -o json a document a line): exit 0 once the task has succeeded, 3 if it
    did not, 4 if the time was up first.
    """
    with session.client() as client:
        tail = LogStream(client, task_id, attempt)
        if is_followed:
            _print_stream(session, follow_task(client, task_id, tail.read_new, _duration(timeout)))
        elif timeout is not None:
            raise click.UsageError("--timeout goes with --follow.")
        else:
            show_list(session, list(tail.read_new()), LOG_COLUMNS)


@click.command("watch", cls=Command)
@takes_task_id
@takes_timeout
@click.pass_obj
def watch(session: Session, task_id: int, timeout: float | None) -> None:
    """Each step of a task, its progress and what it says, until it is over.

    With -o json a document a line. Exit 0 if it succeeded, 3 if it did not, 4 if the time was up first.
    """
    with session.client() as client:
        _print_stream(
            session, follow_task(client, task_id, ActivityStream(client, task_id).read_new, _duration(timeout))
        )


def _print_stream(session: Session, events: Generator[StreamItem, None, Task]) -> None:
    """Print each event as it comes, and end the program as the task did."""
    while True:
        try:
            event = next(events)
        except StopIteration as over:
            exit_as_task(over.value)
        write(_as(session.output, event))


def _as(form: OutputFormat, event: StreamItem) -> bytes:
    match form:
        case OutputFormat.JSON:
            return msgspec.json.encode(_members(event)) + b"\n"
        case OutputFormat.YAML:
            return to_yaml([_members(event)])
        case OutputFormat.TABLE:
            return (escape_control(_text(event)) + "\n").encode()


def _members(event: StreamItem) -> dict[str, Any]:
    match event:
        case HistoryEntry():
            kind = "step"
        case Progress():
            kind = "progress"
        case LogLine():
            kind = "line"
    return {"kind": kind, **msgspec.structs.asdict(event)}


def _text(event: StreamItem) -> str:
    match event:
        case LogLine(at=at, level=level, message=message, fields=fields):
            return f"{format_cell(at)}  {level:<8} {message}" + (f"  {format_cell(fields)}" if fields else "")
        case Progress(progress=progress):
            return f"{'':<20}  progress {format_cell(progress)}"
        case HistoryEntry(at=at, from_status=was, to_status=status, attempt=attempt, actor=actor):
            step = f"{was or '(new)'} -> {status or '(deleted)'}"
            return f"{format_cell(at)}  step     {step} (attempt {attempt}, by {actor})"


def _duration(timeout_s: float | None) -> timedelta | None:
    return None if timeout_s is None else timedelta(seconds=timeout_s)
