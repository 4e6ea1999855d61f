"""`task-cli task logs` and `task watch`: what a task says and does, as it happens where that is asked for."""

from __future__ import annotations

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import click
import msgspec

from taskclient.cli.command import Command
from taskclient.cli.options import takes_task_id
from taskclient.cli.output.formatting import cell, printable
from taskclient.cli.output.views import LOG_COLUMNS
from taskclient.cli.output.writer import Format, as_yaml, write
from taskclient.cli.session import Session
from taskclient.cli.task.wait import end_as, takes_timeout
from taskclient.cli.worker import show_listing
from taskclient.models import HistoryEntry, LogLine, Task
from taskclient.task_streams import LogTail, Progress, Watch, follow

Event = HistoryEntry | Progress | LogLine


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
        tail = LogTail(client, task_id, attempt)
        if is_followed:
            _show_all(session, follow(client, task_id, tail.read, _duration(timeout)))
        elif timeout is not None:
            raise click.UsageError("--timeout goes with --follow.")
        else:
            show_listing(session, list(tail.read()), LOG_COLUMNS)


@click.command("watch", cls=Command)
@takes_task_id
@takes_timeout
@click.pass_obj
def watch(session: Session, task_id: int, timeout: float | None) -> None:
    """Each step of a task, its progress and what it says, until it is over.

    With -o json a document a line. Exit 0 if it succeeded, 3 if it did not, 4 if the time was up first.
    """
    with session.client() as client:
        _show_all(session, follow(client, task_id, Watch(client, task_id).read, _duration(timeout)))


def _show_all(session: Session, events: Generator[Event, None, Task]) -> None:
    """Print each event as it comes, and end the program as the task did."""
    while True:
        try:
            event = next(events)
        except StopIteration as over:
            end_as(over.value)
        write(_as(session.output, event))


def _as(form: Format, event: Event) -> bytes:
    match form:
        case Format.JSON:
            return msgspec.json.encode(_members(event)) + b"\n"
        case Format.YAML:
            return as_yaml([_members(event)])
        case Format.TABLE:
            return (printable(_text(event)) + "\n").encode()


def _members(event: Event) -> dict[str, Any]:
    match event:
        case HistoryEntry():
            kind = "step"
        case Progress():
            kind = "progress"
        case LogLine():
            kind = "line"
    return {"kind": kind, **msgspec.structs.asdict(event)}


def _text(event: Event) -> str:
    match event:
        case LogLine(at=at, level=level, message=message, fields=fields):
            return f"{cell(at)}  {level:<8} {message}" + (f"  {cell(fields)}" if fields else "")
        case Progress(progress=progress):
            return f"{'':<20}  progress {cell(progress)}"
        case HistoryEntry(at=at, from_status=was, to_status=status, attempt=attempt, actor=actor):
            step = f"{was or '(new)'} -> {status or '(deleted)'}"
            return f"{cell(at)}  step     {step} (attempt {attempt}, by {actor})"


def _duration(timeout_s: float | None) -> timedelta | None:
    return None if timeout_s is None else timedelta(seconds=timeout_s)
