"""A typed HTTP client for Taskcore, and `task-cli` on top of it. Needs no other part of Taskcore installed."""

from taskclient.client import Client
from taskclient.errors import ApiError, ServerUnreachable, TaskClientError, UnexpectedResponse, WaitTimeout
from taskclient.models import NewTask, Status, Task

__all__ = [
    "ApiError",
    "Client",
    "NewTask",
    "ServerUnreachable",
    "Status",
    "Task",
    "TaskClientError",
    "UnexpectedResponse",
    "WaitTimeout",
]
