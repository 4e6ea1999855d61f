"""What there is besides tasks: workers and task types, each listed whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import click
from rich.console import RenderableType

from taskclient.cli.command import Group
from taskclient.cli.output.views import TYPE_COLUMNS, WORKER_COLUMNS, Columns, list_view
from taskclient.cli.session import Session

T = TypeVar("T")


@click.group(cls=Group)
def worker() -> None:
    """The workers that run tasks."""


@worker.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_workers(session: Session) -> None:
    """Every worker that is known, with what it serves and how busy it is."""
    with session.client() as client:
        show_list(session, client.workers(), WORKER_COLUMNS)


@click.group("type", cls=Group)
def task_type() -> None:
    """The types of task that can be submitted."""


@task_type.command("list", aliases=("l", "ls"))
@click.pass_obj
def list_types(session: Session) -> None:
    """Every type; with -o json or yaml also the schema of its parameters and its retry policy."""
    with session.client() as client:
        show_list(session, client.task_types(), TYPE_COLUMNS)


def show_list(session: Session, items: Sequence[T], columns: Columns[T]) -> None:
    """The items and how many they are."""

    def view(_: object) -> RenderableType:
        return list_view(columns)(items)

    session.show({"items": items, "total": len(items)}, view)
