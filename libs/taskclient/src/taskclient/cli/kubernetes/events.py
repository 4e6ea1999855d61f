"""`task-cli events`, `task-cli event …` and `task-cli task events`: what Kubernetes clusters told."""

from __future__ import annotations

from datetime import datetime

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import PAGE_COUNT, duration, takes_following, takes_objects, tell_all
from taskclient.cli.kubernetes.views import EVENT_COLUMNS, VERSION_COLUMNS, events_view
from taskclient.cli.options import Parsed, takes_task_id
from taskclient.cli.parsing import parse_since
from taskclient.cli.session import Session
from taskclient.cli.task.wait import end_as
from taskclient.cli.worker import show_listing
from taskclient.kubernetes.calls import Objects
from taskclient.kubernetes.streams import EventTail, TaskEventTail, follow_on
from taskclient.task_streams import follow


@click.command("events", cls=Command, aliases=("ev",))
@takes_objects
@click.option("--type", "types", multiple=True, metavar="TEXT", help="Normal or Warning. Repeatable: any of them.")
@click.option("--since", type=Parsed("time", parse_since), help="ISO 8601 with a time zone, or 30s, 5m, 2h, 7d ago.")
@click.option("-q", "--search", metavar="TEXT", help="Only with this in the message, in any case.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=PAGE_COUNT, show_default=True, metavar="N")
@click.option("--before", metavar="PLACE", help="Go on behind a page, with what its last line says.")
@takes_following("what is stored from now on")
@click.pass_obj
def events(
    session: Session,
    about: Objects,
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
    span = duration(timeout, is_followed)
    if is_followed and before is not None:
        raise click.UsageError("--before goes without --follow.")
    with session.client() as client:
        if is_followed:
            tail = EventTail(client, about, type=types, since=since, search=search, count=limit)
            tell_all(session, follow_on(tail.read, span))
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
        show_listing(session, client.event_versions(event_id), VERSION_COLUMNS)


@click.command("events", cls=Command)
@takes_task_id
@takes_following("what comes until the task is over")
@click.pass_obj
def task_events(session: Session, task_id: int, is_followed: bool, timeout: float | None) -> None:
    """The Kubernetes events about a task's pods, in the order in which they came.

    With --follow: exit 0 once the task has succeeded, 3 if it did not, 4 if the time was up first.
    """
    span = duration(timeout, is_followed)
    with session.client() as client:
        tail = TaskEventTail(client, task_id)
        if is_followed:
            if (task := tell_all(session, follow(client, task_id, tail.read, span))) is not None:
                end_as(task)
        else:
            show_listing(session, list(tail.read()), EVENT_COLUMNS)
