"""`task-cli alerts` and `task-cli alert …`: what events raised, and resolving it."""

from __future__ import annotations

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import PAGE_SIZE, follow_timeout, print_stream, takes_follow, takes_object_filter
from taskclient.cli.kubernetes.views import alerts_view
from taskclient.cli.output.views import fields_view
from taskclient.cli.session import Session
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.streams import AlertStream, poll


@click.command("alerts", cls=Command)
@takes_object_filter
@click.option("-a", "--all", "is_all", is_flag=True, help="Those that are resolved too.")
@click.option("--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N")
@click.option("--before", metavar="PLACE", help="Go on behind a page, with what its last line says.")
@takes_follow("each that opens")
@click.pass_obj
def alerts(
    session: Session,
    about: ObjectFilter,
    *,
    is_all: bool,
    limit: int,
    before: str | None,
    is_followed: bool,
    timeout: float | None,
) -> None:
    """Alerts that are open, the last to open first."""
    span = follow_timeout(timeout, is_followed)
    if is_followed and before is not None:
        raise click.UsageError("--before goes without --follow.")
    status = "all" if is_all else "open"
    with session.client() as client:
        if is_followed:
            print_stream(session, poll(AlertStream(client, about, status=status, count=limit).read_new, span))
        else:
            session.show(client.alerts(about, status=status, limit=limit, before=before), alerts_view)


@click.group(cls=Group)
def alert() -> None:
    """One alert at a time."""


@alert.command("resolve")
@click.option("--id", "alert_id", type=click.IntRange(min=1), required=True, metavar="N", help="The alert's number.")
@click.pass_obj
def resolve(session: Session, alert_id: int) -> None:
    """Say that an alert is dealt with. The next event of its object and reason opens another one."""
    with session.client() as client:
        session.show(client.resolve_alert(alert_id), fields_view)
