"""`task-cli task list`: a page of tasks."""

from __future__ import annotations

from collections.abc import Sequence

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
    "-n", "--pageNumber", "page_number", type=click.IntRange(min=1), metavar="N", help="Which page. [default: 1]"
)
@click.option(
    "-c",
    "--pageCount",
    "page_count",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"How many to a page; the server takes up to 200. [default: {PAGE_SIZE}]",
)
@click.option("--offset", type=click.IntRange(min=0), metavar="N", help="How many to skip, in place of --pageNumber.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="How many to show, in place of --pageCount.")
@click.option("--status", "statuses", multiple=True, type=click.Choice([s.value for s in Status]), help="Repeatable.")
@click.option("--type", "types", multiple=True, metavar="T", help="Only this type. Repeatable.")
@click.option("--queue", "queues", multiple=True, metavar="Q", help="Only this queue. Repeatable.")
@click.option(
    "--label",
    "labels",
    multiple=True,
    type=ParsedOption("key=value", parse_pair),
    help="Only with this label. Repeatable: all of them.",
)
@click.option("-q", "--search", metavar="TEXT", help="Only with this in the name, in any case.")
@click.pass_obj
def list_tasks(
    session: Session,
    *,
    page_number: int | None,
    page_count: int | None,
    offset: int | None,
    limit: int | None,
    statuses: Sequence[str],
    types: Sequence[str],
    queues: Sequence[str],
    labels: Sequence[tuple[str, str]],
    search: str | None,
) -> None:
    """Tasks, newest first, a page at a time. Without a filter, of all."""
    shown = _either(limit, "--limit", page_count, "--pageCount") or PAGE_SIZE
    _either(offset, "--offset", page_number, "--pageNumber")
    with session.client() as client:
        page = client.list(
            status=statuses,
            type=types,
            queue=queues,
            labels=labels,
            search=search,
            limit=shown,
            offset=offset if offset is not None else ((page_number or 1) - 1) * shown,
        )
        session.show(page, task_page_view)


def _either(one: int | None, option: str, other: int | None, its_option: str) -> int | None:
    if one is not None and other is not None:
        raise click.UsageError(f"{option} and {its_option} say the same thing: give one of them.")
    return one if one is not None else other
