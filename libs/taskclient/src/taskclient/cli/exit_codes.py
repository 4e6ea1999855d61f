"""How `task-cli` ends: its exit codes, and what it says on stderr when something went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import click

from taskclient.cli.output.formatting import printable
from taskclient.errors import ServerRefused, TaskClientError, TimedOut
from taskclient.models import Problem, Status, Task

SHOWN_FIELD_ERRORS = 20


class Exit(IntEnum):
    DONE = 0
    REFUSED = 1  # the server said no, or nothing
    USAGE = 2
    TASK_FAILED = 3  # failed or cancelled: over, and not done
    TIMED_OUT = 4
    INTERRUPTED = 130  # 128 and SIGINT's number, as shells have it


@contextmanager
def ended_in_order() -> Iterator[None]:
    """Turn what can be foreseen to go wrong into a block on stderr and an exit code."""
    try:
        yield
    except TimedOut as error:
        end(str(error), Exit.TIMED_OUT)
    except ServerRefused as error:
        end(describe_problem(error.problem), Exit.REFUSED)
    except TaskClientError as error:
        end(str(error), Exit.REFUSED)
    except UnicodeEncodeError:  # an argument held bytes that are no text, and got as far as the request
        end("an argument is not valid UTF-8", Exit.USAGE)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(Exit.INTERRUPTED) from None


def end(message: str, code: Exit) -> NoReturn:
    """Say what went wrong, and leave."""
    click.echo(f"Error: {printable(message)}", err=True)
    raise click.exceptions.Exit(code)


def describe_problem(problem: Problem) -> str:
    """The title and its code; below it the detail, a line a field at fault, and the request's id."""
    lines = [f"{problem.title} ({problem.status} {problem.code})"]
    if problem.detail and problem.detail != problem.title:
        lines.append(problem.detail)
    if problem.task_status and problem.task_status not in (problem.detail or ""):
        lines.append(f"the task is {problem.task_status}")
    lines += [f"{error.field}: {error.message}" for error in problem.errors[:SHOWN_FIELD_ERRORS]]
    if (more := len(problem.errors) - SHOWN_FIELD_ERRORS) > 0:
        lines.append(f"and {more} more")
    if problem.request_id:
        lines.append(f"request id: {problem.request_id}")
    return "\n  ".join(lines)


def exit_code_of(task: Task) -> Exit:
    """The exit code for a task that is over."""
    return Exit.DONE if task.status == Status.SUCCEEDED else Exit.TASK_FAILED
