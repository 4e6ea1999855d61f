"""`task-cli task create`: submits one task."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import click

from taskclient.cli.command import Command
from taskclient.cli.options import ParsedOption
from taskclient.cli.output.views import task_view
from taskclient.cli.parsing import parse_object, parse_pair, parse_parameter, parse_run_at, unique_pairs
from taskclient.cli.session import Session
from taskclient.cli.task.wait import takes_wait_timeout, wait_and_show
from taskclient.models import NewTask


@click.command("create", cls=Command, aliases=("c", "new"))
@click.argument("name")
@click.option("--type", "task_type", required=True, metavar="T", help="Which type of task it is; see `type list`.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    type=ParsedOption("key=value", parse_parameter),
    help="A parameter. A value that is JSON is taken as JSON (5, true, [1, 2], '\"5\"'), any other as text.",
)
@click.option(
    "--parameters-json",
    type=ParsedOption("json", parse_object),
    metavar="OBJECT",
    help="All parameters as one JSON object; --parameter adds to it and overrides it.",
)
@click.option("--description", metavar="D", help="What it is for, in words.")
@click.option("--priority", type=int, default=0, metavar="N", help="-100 to 100, higher first. [default: 0]")
@click.option("--queue", metavar="Q", help="The queue to wait in, if not its type's.")
@click.option(
    "--run-at",
    type=ParsedOption("time", parse_run_at),
    help="Not before then: ISO 8601 with a time zone, or from now by this machine's clock: +30s, +5m, +2h, +1d.",
)
@click.option(
    "--label", "labels", multiple=True, type=ParsedOption("key=value", parse_pair), help="A label. Repeatable."
)
@click.option("--max-attempts", type=click.IntRange(min=1), metavar="N", help="How often to try, if not as its type.")
@click.option(
    "--depends-on",
    "depends_on",
    multiple=True,
    type=click.IntRange(min=1),
    metavar="ID",
    help="Wait until the task ID has succeeded. Repeatable.",
)
@click.option(
    "--timeout",
    "attempt_timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="How long each attempt may take, if not as its type.",
)
@click.option(
    "--delete-after", type=click.FloatRange(min=0), metavar="SECONDS", help="Delete it so long after its end."
)
@click.option("--wait", "is_waited_for", is_flag=True, help="Wait for its end: exit 3 if it fails or is cancelled.")
@takes_wait_timeout
@click.pass_obj
def create(
    session: Session,
    *,
    name: str,
    task_type: str,
    parameters: Sequence[tuple[str, Any]],
    parameters_json: dict[str, Any] | None,
    description: str | None,
    priority: int,
    queue: str | None,
    run_at: datetime | None,
    labels: Sequence[tuple[str, str]],
    max_attempts: int | None,
    depends_on: Sequence[int],
    attempt_timeout: float | None,
    delete_after: float | None,
    is_waited_for: bool,
    wait_timeout: float | None,
) -> None:
    """Submit a task called NAME."""
    if wait_timeout is not None and not is_waited_for:
        raise click.UsageError("--wait-timeout needs --wait.")
    new = NewTask(
        name=name,
        type=task_type,
        parameters=(parameters_json or {}) | _unique(parameters, "--parameter"),
        queue=queue,
        priority=priority,
        run_at=run_at,
        max_attempts=max_attempts,
        timeout=attempt_timeout,
        delete_after=delete_after,
        depends_on=list(depends_on),
        labels=_unique(labels, "--label"),
        description=description,
    )
    with session.client() as client:
        task = client.submit(new)
        if not is_waited_for:
            session.show(task, task_view)
            return
        session.console().print(f"submitted task {task.id}")
        wait_and_show(session, client, task.id, wait_timeout)


def _unique(pairs: Sequence[tuple[str, Any]], option: str) -> dict[str, Any]:
    try:
        return unique_pairs(pairs, option)
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
