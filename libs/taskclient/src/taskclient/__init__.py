"""A typed HTTP client for Taskcore, and `task-cli` on top of it. Needs no other part of Taskcore installed."""

from taskclient.client import Client
from taskclient.errors import ServerRefused, ServerUnreachable, TaskClientError, TimedOut, UnexpectedAnswer
from taskclient.models import NewTask, Status, Task

__all__ = [
    "Client",
    "NewTask",
    "ServerRefused",
    "ServerUnreachable",
    "Status",
    "Task",
    "TaskClientError",
    "TimedOut",
    "UnexpectedAnswer",
]
