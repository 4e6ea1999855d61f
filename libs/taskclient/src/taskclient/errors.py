"""The errors that the client raises."""

from __future__ import annotations

from datetime import timedelta

from taskclient.models import Problem, Task


class TaskClientError(Exception):
    """Base class of the client's errors."""


class InvalidEnvironment(TaskClientError):
    """An environment variable about proxies or certificates is of no use."""


class ServerUnreachable(TaskClientError):
    """No response came. The server may have carried out the call all the same."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot reach {address}: {reason}")
        self.address = address
        self.reason = reason


class ApiError(TaskClientError):
    """The server refused the request. `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(f"{problem.title} ({problem.status} {problem.code})")
        self.problem = problem


class UnexpectedResponse(TaskClientError):
    """The server reported success with a body that is not Taskcore's: another program, or an incompatible version."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{address} sent a response that is not Taskcore's: {reason}")


class WaitTimeout(TaskClientError):
    """The task did not finish in time. `task` is its latest state."""

    def __init__(self, task: Task, timeout: timedelta) -> None:
        super().__init__(f"task {task.id} is still {task.status} after {timeout.total_seconds():g} s")
        self.task = task
        self.timeout = timeout
