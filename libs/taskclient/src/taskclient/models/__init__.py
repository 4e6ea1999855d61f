"""Request and response models. Fields that a newer server adds are ignored.

Statuses and actions are plain text, so that a task with one from a newer server stays readable. Compare a status with
`Status`.
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
