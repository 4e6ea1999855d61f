"""`task-cli schedule delete`, `pause`, `resume` and `run`."""

from __future__ import annotations

from datetime import timedelta

import click
from rich.text import Text

from taskclient.cli.command import Command
from taskclient.cli.options import takes_wait
from taskclient.cli.schedule.options import find_schedule_id, takes_schedule
from taskclient.cli.session import Session
from taskclient.cli.task.wait import wait_for_submitted


@click.command("delete", cls=Command)
@takes_schedule
@click.pass_obj
def delete(session: Session, schedule: str) -> None:
    """Delete a schedule. The tasks that it submitted stay."""
    with session.client() as client:
        schedule_id = find_schedule_id(client, schedule)
        client.delete_schedule(schedule_id)
    session.show({"id": schedule_id, "deleted": True}, lambda _: Text(f"schedule {schedule_id} deleted"))


@click.command("pause", cls=Command)
@takes_schedule
@click.option("--reason", metavar="TEXT", help="Reason, shown in the list of schedules.")
@click.pass_obj
def pause(session: Session, schedule: str, reason: str | None) -> None:
    """Submit nothing until the schedule is resumed. Running tasks continue."""
    with session.client() as client:
        session.show_fields(client.pause_schedule(find_schedule_id(client, schedule), reason))


@click.command("resume", cls=Command)
@takes_schedule
@click.pass_obj
def resume(session: Session, schedule: str) -> None:
    """Resume a schedule from now on. Times that passed during the pause are not made up for."""
    with session.client() as client:
        session.show_fields(client.resume_schedule(find_schedule_id(client, schedule)))


@click.command("run", cls=Command)
@takes_schedule
@takes_wait
@click.pass_obj
def run(session: Session, schedule: str, wait: bool, wait_timeout: timedelta | None) -> None:
    """Submit a schedule's task now, in addition to its times."""
    with session.client() as client:
        submitted = client.run_schedule(find_schedule_id(client, schedule))
        if wait:
            wait_for_submitted(session, client, submitted.task_id, wait_timeout)
        session.show_fields(submitted)
