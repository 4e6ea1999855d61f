"""`task-cli events` and `task-cli event …`: show Kubernetes events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import takes_object_filter, takes_page
from taskclient.cli.kubernetes.views import PRINTER, VERSION_COLUMNS, events_view
from taskclient.cli.options import ParsedOption, takes_follow
from taskclient.cli.parsing import parse_since
from taskclient.cli.session import Session
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.streams import event_stream, poll


@click.command("events", cls=Command, aliases=("ev",))
@takes_object_filter
@click.option("--type", multiple=True, metavar="TEXT", help="Normal or Warning. Repeatable: any of them.")
@click.option(
    "--since",
    type=ParsedOption("time", parse_since),
    help="ISO 8601 with a time zone, or how long ago: 30s, 5m, 2h, 7d.",
)
@click.option("-q", "--search", metavar="TEXT", help="Only messages that contain this text, ignoring case.")
@takes_page
@takes_follow("events as they are stored")
@click.pass_obj
def events(
    session: Session,
    objects: ObjectFilter,
    /,
    *,
    limit: int,
    before: str | None,
    follow: bool,
    timeout: timedelta | None,
    **filters: Any,
) -> None:
    """Show Kubernetes events and gaps in them, newest first.

    With --follow, print the newest ones ordered by time, then what is stored, no version twice. Of an event that
    happens several times between two reads, it prints the latest version; "event versions" has all.
    """
    with session.client() as client:
        if follow:
            stream = event_stream(client, objects, count=limit, **filters)
            PRINTER.print(poll(stream.read_new, timeout), session.output)
        else:
            session.show(client.events(objects, limit=limit, before=before, **filters), events_view)


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
