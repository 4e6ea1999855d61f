"""The exit codes of `task-cli`, and its error messages on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import NoReturn

import click

from taskclient.cli.output.formatting import escape_control
from taskclient.cli.output.writer import OutputFailed
from taskclient.errors import ApiError, TaskClientError, WaitTimeout
from taskclient.models import Problem

MAX_FIELD_ERRORS = 20


class ExitCode(IntEnum):
    SUCCESS = 0
    ERROR = 1  # the server refused the request or could not be reached
    USAGE = 2
    TASK_FAILED = 3  # failed or cancelled
    TIMED_OUT = 4
    INTERRUPTED = 130  # 128 plus the number of SIGINT, as in shells


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn the client's errors into a message on stderr and an exit code."""
    try:
        yield
    except WaitTimeout as error:
        exit_with_error(str(error), ExitCode.TIMED_OUT)
    except ApiError as error:
        exit_with_error(describe_problem(error.problem), ExitCode.ERROR)
    except (TaskClientError, OutputFailed) as error:
        exit_with_error(str(error), ExitCode.ERROR)
    except UnicodeEncodeError:  # an argument with undecodable bytes reached the request
        exit_with_error("an argument is not valid UTF-8", ExitCode.USAGE)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None


def exit_with_error(message: str, code: ExitCode) -> NoReturn:
    """Print an error message and exit."""
    click.echo(f"Error: {escape_control(message)}", err=True)
    raise click.exceptions.Exit(code)


def describe_problem(problem: Problem) -> str:
    """Return the title and code, then the detail, one line per invalid field, and the request id."""
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
