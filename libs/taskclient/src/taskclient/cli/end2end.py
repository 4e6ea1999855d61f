"""`task-cli end2end`: run the end-to-end check, show its progress and exit by its result."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

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
from taskclient.end2end import Clock, EndToEndCheck, Failure, Plan, Snapshot, Summary

MAX_TASKS = 100_000  # the server counts up to this number


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
    help="Number of tasks to submit.",
)
@click.option("--type", metavar="T", help="Submit tasks of this type only. [default: half and half]")
@click.option("--database", default="default", show_default=True, help="Database of the run_query tasks.")
@click.option("--to", default="end2end@example.com", show_default=True, help="Recipient of the send_email tasks.")
@click.option(
    "--batch-size", type=click.IntRange(1, 10_000), default=1_000, show_default=True, help="Tasks per request."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=180.0,
    show_default=True,
    metavar="SECONDS",
    help="Time limit, including the time to submit.",
)
@click.pass_obj
def end2end(session: Session, /, *, batch_size: int, timeout: float, **options: Any) -> None:
    """Submit many tasks and wait until all have finished.

    Half are run_query, half send_email. Exit with 0 if all succeeded, 3 if a task failed or was cancelled, 4 if some
    did not finish in time.
    """
    plan = Plan(uuid.uuid4(), **options)
    console = session.console()
    console.print(f"submitting {plan.count} tasks with the label {'='.join(plan.label)}")
    with session.client() as client:
        check = EndToEndCheck(client, plan, timeout, Clock())
        show_progress(console, plan.count, check.run(batch_size))
        summary = check.summarize()
    session.show(summary, summary_view)
    _exit_unless_succeeded(summary)


def summary_view(summary: Summary) -> RenderableType:
    speed = f"{summary.tasks_per_second:g} tasks/s"
    text = f"{summary.counts.finished} of {summary.tasks} finished in {summary.seconds:.1f} s: {speed}"
    return Group(counts_view(summary.counts), Text(text))


def show_progress(console: Console, count: int, snapshots: Iterable[Snapshot]) -> None:
    """Print each count as a line; on a terminal, show a progress bar too."""
    columns = (TextColumn("finished"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("finished", total=count)
        for snapshot in snapshots:
            progress.update(bar, completed=snapshot.finished)
            if snapshot.counts is not None:
                counts = msgspec.structs.asdict(snapshot.counts).items()
                console.print(f"{snapshot.elapsed_s:.0f} s: {', '.join(f'{name} {number}' for name, number in counts)}")


def _exit_unless_succeeded(summary: Summary) -> None:
    failures = [_describe_failure(failure) for failure in summary.failures]
    if (late := summary.tasks - summary.counts.finished) > 0:
        message = f"{late} of {summary.tasks} tasks did not finish in time"
        exit_with_error("\n  ".join([message, *failures]), ExitCode.TIMED_OUT)
    if (unsuccessful := summary.tasks - summary.counts.succeeded) > 0:
        message = f"{unsuccessful} of {summary.tasks} tasks did not succeed"
        exit_with_error("\n  ".join([message, *failures]), ExitCode.TASK_FAILED)


def _describe_failure(failure: Failure) -> str:
    error = first_line(failure.error) or "no error given"
    return escape_control(f"task {failure.id} ({failure.name}) {failure.status}: {error}")
