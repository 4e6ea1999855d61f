"""A typed HTTP client for Taskcore, and `task-cli` on top of it. Needs no other part of Taskcore installed."""

from taskclient.client import Client
from taskclient.errors import ApiError, ServerUnreachable, TaskClientError, WaitTimeout, UnexpectedResponse
from taskclient.models import NewTask, Status, Task

__all__ = [
    "Client",
    "NewTask",
    "ApiError",
    "ServerUnreachable",
    "Status",
    "Task",
    "TaskClientError",
    "WaitTimeout",
    "UnexpectedResponse",
]
