"""`task-cli task list`: show a page of tasks."""

from __future__ import annotations

from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.options import ParsedOption
from taskclient.cli.output.views import task_page_view
from taskclient.cli.parsing import parse_pair
from taskclient.cli.session import Session
from taskclient.models import Status

PAGE_SIZE = 30


@click.command("list", cls=Command, aliases=("l", "ls"))
@click.option(
    "-n", "--pageNumber", "page_number", type=click.IntRange(min=1), metavar="N", help="Page number. [default: 1]"
)
@click.option(
    "-c",
    "--pageCount",
    "page_count",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Page size, up to 200. [default: {PAGE_SIZE}]",
)
@click.option("--offset", type=click.IntRange(min=0), metavar="N", help="Tasks to skip, instead of --pageNumber.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Tasks to show, instead of --pageCount.")
@click.option(
    "--status",
    multiple=True,
    type=click.Choice([s.value for s in Status]),
    help="Only this status. Repeatable.",
)
@click.option("--type", multiple=True, metavar="T", help="Only this type. Repeatable.")
@click.option("--queue", multiple=True, metavar="Q", help="Only this queue. Repeatable.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=ParsedOption("key=value", parse_pair),
    help="Only tasks with this label. Repeatable: all of them.",
)
@click.option("-q", "--search", metavar="TEXT", help="Only names that contain this text, ignoring case.")
@click.pass_obj
def list_tasks(
    session: Session,
    /,
    *,
    page_number: int | None,
    page_count: int | None,
    offset: int | None,
    limit: int | None,
    **filters: Any,
) -> None:
    """Show a page of tasks, newest first. Without filters, of all tasks."""
    size = _either(limit, "--limit", page_count, "--pageCount") or PAGE_SIZE
    _either(offset, "--offset", page_number, "--pageNumber")
    with session.client() as client:
        offset = offset if offset is not None else ((page_number or 1) - 1) * size
        page = client.list(**filters, limit=size, offset=offset)
        session.show(page, task_page_view)


def _either(one: int | None, option: str, other: int | None, other_option: str) -> int | None:
    if one is not None and other is not None:
        raise click.UsageError(f"{option} and {other_option} exclude each other.")
    return one if one is not None else other
