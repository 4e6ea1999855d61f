"""`task-cli setting …`: show and override live settings."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Group
from taskclient.cli.options import ParsedOption
from taskclient.cli.output.views import SETTING_COLUMNS
from taskclient.cli.parsing import parse_value
from taskclient.cli.session import Session

takes_name = click.argument("name", metavar="NAME")


@click.group(cls=Group)
def setting() -> None:
    """Show and override live settings: those that can be changed while processes run."""


@setting.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_settings(session: Session) -> None:
    """List every live setting with its value and where that comes from."""
    with session.client() as client:
        session.show_list(client.settings(), SETTING_COLUMNS)


@setting.command("get", aliases=("g", "show"))
@takes_name
@click.pass_obj
def get(session: Session, name: str) -> None:
    """Show a live setting, such as coordinator.sweep_every_s, with the schema of its values."""
    with session.client() as client:
        session.show_fields(client.setting(name))


@setting.command("set")
@takes_name
@click.argument("value", type=ParsedOption("value", parse_value))
@click.pass_obj
def set_(session: Session, name: str, value: Any) -> None:
    """Override a live setting for every process. VALUE is JSON or text: 15, null, debug, '{"noop": {}}'."""
    with session.client() as client:
        session.show_fields(client.set_setting(name, value))


@setting.command("unset")
@takes_name
@click.pass_obj
def unset(session: Session, name: str) -> None:
    """Remove an override: each process uses its own setting again."""
    with session.client() as client:
        session.show_fields(client.unset_setting(name))
