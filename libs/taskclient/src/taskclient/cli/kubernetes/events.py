"""`task-cli events`, `task-cli event …` and `task-cli task events`: what Kubernetes clusters told."""

from __future__ import annotations

from datetime import datetime

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import PAGE_SIZE, follow_timeout, print_stream, takes_follow, takes_object_filter
from taskclient.cli.kubernetes.views import EVENT_COLUMNS, VERSION_COLUMNS, events_view
from taskclient.cli.options import ParsedOption, takes_task_id
from taskclient.cli.parsing import parse_since
from taskclient.cli.session import Session
from taskclient.cli.task.wait import exit_as_task
from taskclient.cli.worker import show_list
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.streams import EventStream, TaskEventStream, poll
from taskclient.task_streams import follow_task


@click.command("events", cls=Command, aliases=("ev",))
@takes_object_filter
@click.option("--type", "types", multiple=True, metavar="TEXT", help="Normal or Warning. Repeatable: any of them.")
@click.option(
    "--since", type=ParsedOption("time", parse_since), help="ISO 8601 with a time zone, or 30s, 5m, 2h, 7d ago."
)
@click.option("-q", "--search", metavar="TEXT", help="Only with this in the message, in any case.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N")
@click.option("--before", metavar="PLACE", help="Go on behind a page, with what its last line says.")
@takes_follow("what is stored from now on")
@click.pass_obj
def events(
    session: Session,
    about: ObjectFilter,
    *,
    types: tuple[str, ...],
    since: datetime | None,
    search: str | None,
    limit: int,
    before: str | None,
    is_followed: bool,
    timeout: float | None,
) -> None:
    """Kubernetes events, newest first, with the gaps in them.

    With --follow the newest first in the order of their time, then each that is stored, and no version twice.
    """
    span = follow_timeout(timeout, is_followed)
    if is_followed and before is not None:
        raise click.UsageError("--before goes without --follow.")
    with session.client() as client:
        if is_followed:
            tail = EventStream(client, about, type=types, since=since, search=search, count=limit)
            print_stream(session, poll(tail.read_new, span))
            return
        page = client.events(about, type=types, since=since, search=search, limit=limit, before=before)
        session.show(page, events_view)


@click.group(cls=Group)
def event() -> None:
    """One Kubernetes event at a time."""


@event.command("versions")
@click.option("--id", "event_id", type=click.IntRange(min=1), required=True, metavar="N", help="An event's number.")
@click.pass_obj
def versions(session: Session, event_id: int) -> None:
    """Every version that was stored of an event: as the cluster counted it again, its number and time changed."""
    with session.client() as client:
        show_list(session, client.event_versions(event_id), VERSION_COLUMNS)


@click.command("events", cls=Command)
@takes_task_id
@takes_follow("what comes until the task is over")
@click.pass_obj
def task_events(session: Session, task_id: int, is_followed: bool, timeout: float | None) -> None:
    """The Kubernetes events about a task's pods, in the order in which they came.

    With --follow: exit 0 once the task has succeeded, 3 if it did not, 4 if the time was up first.
    """
    span = follow_timeout(timeout, is_followed)
    with session.client() as client:
        tail = TaskEventStream(client, task_id)
        if is_followed:
            if (task := print_stream(session, follow_task(client, task_id, tail.read_new, span))) is not None:
                exit_as_task(task)
        else:
            show_list(session, list(tail.read_new()), EVENT_COLUMNS)
