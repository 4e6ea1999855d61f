"""`task-cli schedule …`: tasks that are submitted at certain times."""

from __future__ import annotations

from datetime import datetime

import click
import msgspec
from rich.text import Text

from taskclient.cli.command import Group
from taskclient.cli.options import ParsedOption
from taskclient.cli.output.views import fields_view
from taskclient.cli.parsing import parse_run_at
from taskclient.cli.schedule.create import change, create
from taskclient.cli.schedule.options import (
    find_schedule_id,
    takes_optional_schedule,
    takes_schedule,
    takes_schedule_times,
)
from taskclient.cli.schedule.views import SCHEDULE_COLUMNS, fires_view, preview_view
from taskclient.cli.session import Session
from taskclient.cli.task.wait import takes_wait_timeout, wait_and_show
from taskclient.cli.worker import show_list

PAGE_SIZE = 30


class Deletion(msgspec.Struct, frozen=True):
    """What is printed of a schedule that is no more."""

    id: int
    deleted: bool = True


@click.group(cls=Group)
def schedule() -> None:
    """Schedules: tasks that are submitted at certain times."""


@schedule.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_schedules(session: Session) -> None:
    """Every schedule, with its next time."""
    with session.client() as client:
        show_list(session, client.schedules(), SCHEDULE_COLUMNS)


@schedule.command("get", aliases=("g", "show"))
@takes_schedule
@click.pass_obj
def get(session: Session, which: str) -> None:
    """One schedule: its task, its times, and how it stands."""
    with session.client() as client:
        session.show(client.schedule(find_schedule_id(client, which)), fields_view)


schedule.add_command(create)
schedule.add_command(change)


@schedule.command("delete")
@takes_schedule
@click.pass_obj
def delete(session: Session, which: str) -> None:
    """Delete a schedule. The tasks that it submitted stay."""
    with session.client() as client:
        schedule_id = find_schedule_id(client, which)
        client.delete_schedule(schedule_id)
    session.show(Deletion(schedule_id), lambda deletion: Text(f"schedule {deletion.id} deleted"))


@schedule.command("pause")
@takes_schedule
@click.option("--reason", metavar="TEXT", help="Why, for whoever lists the schedules.")
@click.pass_obj
def pause(session: Session, which: str, reason: str | None) -> None:
    """Let a schedule's times pass until it is resumed. What runs goes on."""
    with session.client() as client:
        session.show(client.pause_schedule(find_schedule_id(client, which), reason), fields_view)


@schedule.command("resume")
@takes_schedule
@click.pass_obj
def resume(session: Session, which: str) -> None:
    """Go on from now: what came during the pause is not made up for."""
    with session.client() as client:
        session.show(client.resume_schedule(find_schedule_id(client, which)), fields_view)


@schedule.command("run")
@takes_schedule
@click.option("--wait", "is_waited_for", is_flag=True, help="Wait for its end: exit 3 if it fails or is cancelled.")
@takes_wait_timeout
@click.pass_obj
def run(session: Session, which: str, is_waited_for: bool, wait_timeout: float | None) -> None:
    """Submit a schedule's task now, beside its times."""
    if wait_timeout is not None and not is_waited_for:
        raise click.UsageError("--wait-timeout needs --wait.")
    with session.client() as client:
        ran = client.run_schedule(find_schedule_id(client, which))
        if not is_waited_for:
            session.show(ran, fields_view)
            return
        session.console().print(f"submitted task {ran.task_id}")
        wait_and_show(session, client, ran.task_id, wait_timeout)


@schedule.command("preview")
@takes_optional_schedule
@takes_schedule_times
@click.option("--count", type=click.IntRange(1, 100), default=10, show_default=True, metavar="N", help="How many.")
@click.pass_obj
def preview(
    session: Session, which: str | None, cron: str | None, every_s: float | None, timezone: str | None, count: int
) -> None:
    """The next times of a schedule, or of --cron or --every without one."""
    if (which is None) == (cron is None and every_s is None):
        raise click.UsageError("Name a schedule, or give --cron or --every.")
    if which is not None and timezone is not None:
        raise click.UsageError("--timezone goes with --cron or --every.")
    with session.client() as client:
        if which is not None:
            times = client.preview_schedule(find_schedule_id(client, which), count)
        else:
            times = client.preview_times(cron=cron, every_s=every_s, timezone=timezone or "UTC", count=count)
        session.show(times, preview_view)


@schedule.command("fires")
@takes_schedule
@click.option("--limit", type=click.IntRange(1, 1_000), default=PAGE_SIZE, show_default=True, metavar="N")
@click.option(
    "--before", type=ParsedOption("time", parse_run_at), help="Go on behind a page, with what its last line says."
)
@click.pass_obj
def fires(session: Session, which: str, limit: int, before: datetime | None) -> None:
    """What became of a schedule's times, newest first."""
    with session.client() as client:
        session.show(client.schedule_fires(find_schedule_id(client, which), before=before, limit=limit), fires_view)
