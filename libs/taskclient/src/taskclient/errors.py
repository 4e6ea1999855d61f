"""Everything the client raises on purpose."""

from __future__ import annotations

from datetime import timedelta

from taskclient.models import FieldError, Problem, Task


class TaskClientError(Exception):
    """Something that the client foresaw went wrong."""


class ServerUnreachable(TaskClientError):
    """No answer came. A call that changes something may have been carried out all the same."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot reach {address}: {reason}")
        self.address = address
        self.reason = reason


class ApiError(TaskClientError):
    """The server answered, and the answer is no. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} ({problem.status} {problem.code})")
        self.problem = problem

    @property
    def status(self) -> int:
        return self.problem.status

    @property
    def code(self) -> str:
        return self.problem.code

    @property
    def detail(self) -> str | None:
        return self.problem.detail

    @property
    def errors(self) -> list[FieldError]:
        return self.problem.errors


class UnexpectedResponse(TaskClientError):
    """The server said yes, in words that are not Taskcore's: another program, or a version that does not fit."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} gave an answer that is not Taskcore's: {reason}")


class WaitTimeout(TaskClientError):
    """The task was not over in time. `task` is how it stood last."""

    def __init__(self, task: Task, timeout: timedelta) -> None:
        super().__init__(f"task {task.id} is still {task.status} after {timeout.total_seconds():g} s")
        self.task = task
        self.timeout = timeout
