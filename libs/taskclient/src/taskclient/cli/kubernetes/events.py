"""`task-cli events` and `task-cli event …`: show Kubernetes events."""

from __future__ import annotations

from datetime import datetime, timedelta

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import refuse_before, takes_object_filter, takes_page
from taskclient.cli.kubernetes.views import PRINTER, VERSION_COLUMNS, events_view
from taskclient.cli.options import ParsedOption, takes_follow
from taskclient.cli.parsing import parse_since
from taskclient.cli.session import Session
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.streams import EventStream, poll


@click.command("events", cls=Command, aliases=("ev",))
@takes_object_filter
@click.option("--type", "types", multiple=True, metavar="TEXT", help="Normal or Warning. Repeatable: any of them.")
@click.option(
    "--since",
    type=ParsedOption("time", parse_since),
    help="ISO 8601 with a time zone, or how long ago: 30s, 5m, 2h, 7d.",
)
@click.option("-q", "--search", metavar="TEXT", help="Only messages that contain this text, ignoring case.")
@takes_page
@takes_follow("each event as it is stored")
@click.pass_obj
def events(
    session: Session,
    objects: ObjectFilter,
    *,
    types: tuple[str, ...],
    since: datetime | None,
    search: str | None,
    limit: int,
    before: str | None,
    is_following: bool,
    timeout: timedelta | None,
) -> None:
    """Show Kubernetes events and gaps in them, newest first.

    With --follow, print the newest ones ordered by time, then each new one as it is stored, no version twice.
    """
    refuse_before(before, is_following)
    with session.client() as client:
        if is_following:
            stream = EventStream(client, objects, type=types, since=since, search=search, count=limit)
            PRINTER.print(poll(stream.read_new, timeout), session.output)
            return
        page = client.events(objects, type=types, since=since, search=search, limit=limit, before=before)
        session.show(page, events_view)


@click.group(cls=Group)
def event() -> None:
    """Show the versions of a Kubernetes event."""


@event.command("versions")
@click.option("--id", "event_id", type=click.IntRange(min=1), required=True, metavar="N", help="The event's id.")
@click.pass_obj
def versions(session: Session, event_id: int) -> None:
    """List every stored version of an event. Its count and time change whenever it occurs again."""
    with session.client() as client:
        session.show_list(client.event_versions(event_id), VERSION_COLUMNS)
