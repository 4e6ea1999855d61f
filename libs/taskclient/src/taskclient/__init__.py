"""A typed HTTP client for Taskcore, and `task-cli` on top of it. It depends on no other part of Taskcore."""

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
