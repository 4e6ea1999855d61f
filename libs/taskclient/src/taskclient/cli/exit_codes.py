"""How `task-cli` ends: its exit codes, and what it says on stderr when something went wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import click

from taskclient.cli.output.formatting import escape_control
from taskclient.errors import ApiError, TaskClientError, WaitTimeout
from taskclient.models import Problem, Status, Task

MAX_FIELD_ERRORS = 20


class ExitCode(IntEnum):
    SUCCESS = 0
    ERROR = 1  # the server said no, or nothing
    USAGE = 2
    TASK_FAILED = 3  # failed or cancelled: over, and not done
    TIMED_OUT = 4
    INTERRUPTED = 130  # 128 and SIGINT's number, as shells have it


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn what can be foreseen to go wrong into a block on stderr and an exit code."""
    try:
        yield
    except WaitTimeout as error:
        exit_with_error(str(error), ExitCode.TIMED_OUT)
    except ApiError as error:
        exit_with_error(describe_problem(error.problem), ExitCode.ERROR)
    except TaskClientError as error:
        exit_with_error(str(error), ExitCode.ERROR)
    except UnicodeEncodeError:  # an argument held bytes that are no text, and got as far as the request
        exit_with_error("an argument is not valid UTF-8", ExitCode.USAGE)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


def exit_with_error(message: str, code: ExitCode) -> NoReturn:
    """Say what went wrong, and leave."""
    click.echo(f"Error: {escape_control(message)}", err=True)
    raise click.exceptions.Exit(code)


def describe_problem(problem: Problem) -> str:
    """The title and its code; below it the detail, a line a field at fault, and the request's id."""
    lines = [f"{problem.title} ({problem.status} {problem.code})"]
    if problem.detail and problem.detail != problem.title:
        lines.append(problem.detail)
    if problem.task_status and problem.task_status not in (problem.detail or ""):
        lines.append(f"the task is {problem.task_status}")
    lines += [f"{error.field}: {error.message}" for error in problem.errors[:MAX_FIELD_ERRORS]]
    if (more := len(problem.errors) - MAX_FIELD_ERRORS) > 0:
        lines.append(f"and {more} more")
    if problem.request_id:
        lines.append(f"request id: {problem.request_id}")
    return "\n  ".join(lines)


def exit_code_for(task: Task) -> ExitCode:
    """The exit code for a task that is over."""
    return ExitCode.SUCCESS if task.status == Status.SUCCEEDED else ExitCode.TASK_FAILED
