"""`task-cli end2end`: shows the end-to-end check as it goes, and judges it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

import click
import msgspec
from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from taskclient.cli.command import Command
from taskclient.cli.exit_codes import ExitCode, exit_with_error
from taskclient.cli.output.formatting import escape_control, first_line
from taskclient.cli.output.views import counts_view
from taskclient.cli.session import Session
from taskclient.end2end import Clock, EndToEndCheck, Plan, Snapshot, Summary
from taskclient.models import StatusCounts

MAX_TASKS = 100_000  # the server counts no further than this


@click.command("end2end", cls=Command)
@click.option(
    "-n",
    "--num-tasks",
    "--count",
    "count",
    type=click.IntRange(1, MAX_TASKS),
    default=100,
    show_default=True,
    metavar="N",
    help="How many tasks to send.",
)
@click.option("--type", "task_type", metavar="T", help="Send this type only, in place of the two halves.")
@click.option("--database", default="default", show_default=True, help="The database that run_query asks.")
@click.option("--to", default="end2end@example.com", show_default=True, help="Where send_email sends to.")
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="How many to send at once."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="When to give up; the time for sending counts.",
)
@click.pass_obj
def end2end(
    session: Session,
    *,
    count: int,
    task_type: str | None,
    database: str,
    to: str,
    batch_size: int,
    timeout: float,
) -> None:
    """Send many tasks and follow them to their end.

    Half are run_query, half send_email. Exit 0 only if all succeeded; 3 if one failed or was cancelled; 4 if some
    were not over in time.
    """
    plan = Plan(uuid.uuid4(), count, task_type, database, to)
    console = session.console()
    console.print(f"sending {count} tasks with the label {'='.join(plan.label)}")
    with session.client() as client:
        check = EndToEndCheck(client, plan, timeout, Clock())
        show_progress(console, count, check.run(batch_size))
        summary = check.summarize()
    session.show(summary, summary_view)
    _exit_unless_succeeded(summary)


def summary_view(summary: Summary) -> RenderableType:
    speed = (
        f"{summary.finished} of {summary.tasks} over in {summary.seconds:.1f} s: {summary.tasks_per_second:g} tasks/s"
    )
    return Group(counts_view(summary.counts), Text(speed))


def describe_counts(counts: StatusCounts) -> str:
    return ", ".join(f"{name} {number}" for name, number in msgspec.structs.asdict(counts).items())


def show_progress(console: Console, count: int, snapshots: Iterable[Snapshot]) -> None:
    """Each count as a line; on a terminal also a bar below them."""
    columns = (TextColumn("over"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("over", total=count)
        for snapshot in snapshots:
            progress.update(bar, completed=snapshot.finished)
            if snapshot.counts is not None:
                console.print(f"{snapshot.elapsed_s:.0f} s: {describe_counts(snapshot.counts)}")


def _exit_unless_succeeded(summary: Summary) -> None:
    lines = [_describe_failure(*msgspec.structs.astuple(failure)) for failure in summary.failures]
    if (late := summary.tasks - summary.finished) > 0:
        message = f"{late} of {summary.tasks} tasks were not over in time"
        exit_with_error("\n  ".join([message, *lines]), ExitCode.TIMED_OUT)
    if (lost := summary.tasks - summary.counts.succeeded) > 0:
        message = f"{lost} of {summary.tasks} tasks did not succeed"
        exit_with_error("\n  ".join([message, *lines]), ExitCode.TASK_FAILED)


def _describe_failure(task_id: int, name: str, status: str, error: str | None) -> str:
    return escape_control(f"task {task_id} ({name}) {status}: {first_line(error) or 'no reason given'}")
