"""`task-cli alerts` and `task-cli alert …`: show and resolve the alerts of Kubernetes events."""

from __future__ import annotations

from datetime import timedelta

import click

from taskclient.cli.command import Command, Group
from taskclient.cli.kubernetes.options import takes_object_filter, takes_page
from taskclient.cli.kubernetes.views import PRINTER, alerts_view
from taskclient.cli.options import takes_follow
from taskclient.cli.session import Session
from taskclient.kubernetes.calls import ObjectFilter
from taskclient.kubernetes.streams import alert_stream, poll


@click.command("alerts", cls=Command)
@takes_object_filter
@click.option("-a", "--all", "is_all", is_flag=True, help="Include resolved alerts.")
@takes_page
@takes_follow("each alert as it opens")
@click.pass_obj
def alerts(
    session: Session,
    objects: ObjectFilter,
    *,
    is_all: bool,
    limit: int,
    before: str | None,
    follow: bool,
    timeout: timedelta | None,
) -> None:
    """Show open alerts, the latest to open first."""
    status = "all" if is_all else "open"
    with session.client() as client:
        if follow:
            stream = alert_stream(client, objects, status=status, count=limit)
            PRINTER.print(poll(stream.read_new, timeout), session.output)
        else:
            session.show(client.alerts(objects, status=status, limit=limit, before=before), alerts_view)


@click.group(cls=Group)
def alert() -> None:
    """Resolve an alert."""


@alert.command("resolve")
@click.option("--id", "alert_id", type=click.IntRange(min=1), required=True, metavar="N", help="The alert's id.")
@click.pass_obj
def resolve(session: Session, alert_id: int) -> None:
    """Resolve an alert. The next event with the same object and reason opens a new one."""
    with session.client() as client:
        session.show_fields(client.resolve_alert(alert_id))
