"""What goes over HTTP, as this client sees it. A field that a newer server adds is passed over.

A status or an action is kept as text: one that this client does not know yet must not make a task unreadable.
Compare it with `Status`.
"""

from taskclient.models.batches import BatchAnswer, BatchResult
from taskclient.models.histories import Attempt, HistoryEntry, LogLine, LogPage
from taskclient.models.items import Items
from taskclient.models.problems import FieldError, Problem
from taskclient.models.settings import Setting
from taskclient.models.tasks import (
    TERMINAL,
    NewTask,
    RelatedTask,
    RelatedTaskPage,
    Status,
    StatusCounts,
    Task,
    TaskPage,
)
from taskclient.models.workers import Queue, TaskType, Worker

__all__ = [
    "TERMINAL",
    "Attempt",
    "BatchAnswer",
    "BatchResult",
    "FieldError",
    "HistoryEntry",
    "Items",
    "LogLine",
    "LogPage",
    "NewTask",
    "Problem",
    "Queue",
    "RelatedTask",
    "RelatedTaskPage",
    "Setting",
    "Status",
    "StatusCounts",
    "Task",
    "TaskPage",
    "TaskType",
    "Worker",
]
