"""`task-cli setting …`: the settings that can be changed while processes run."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Group
from taskclient.cli.options import ParsedOption
from taskclient.cli.output.views import SETTING_COLUMNS, fields_view
from taskclient.cli.parsing import parse_value
from taskclient.cli.session import Session
from taskclient.cli.worker import show_list

takes_name = click.argument("name", metavar="NAME")


@click.group(cls=Group)
def setting() -> None:
    """The settings that can be changed while processes run."""


@setting.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_settings(session: Session) -> None:
    """Every live setting: what holds now, and where that comes from."""
    with session.client() as client:
        show_list(session, client.settings(), SETTING_COLUMNS)


@setting.command("get", aliases=("g", "show"))
@takes_name
@click.pass_obj
def get(session: Session, name: str) -> None:
    """One live setting, such as coordinator.sweep_every_s, with what its values may be."""
    with session.client() as client:
        session.show(client.setting(name), fields_view)


@setting.command("set")
@takes_name
@click.argument("value", type=ParsedOption("value", parse_value))
@click.pass_obj
def set_(session: Session, name: str, value: Any) -> None:
    """Override a live setting for every process. VALUE is JSON, or else text: 15, null, debug, '{"noop": {}}'."""
    with session.client() as client:
        session.show(client.set_setting(name, value), fields_view)


@setting.command("unset")
@takes_name
@click.pass_obj
def unset(session: Session, name: str) -> None:
    """Remove an override: each process's own setting holds again."""
    with session.client() as client:
        session.show(client.unset_setting(name), fields_view)
