"""Request and response models. Fields that a newer server adds are ignored.

Statuses and actions are plain text, so that a task with one from a newer server stays readable. Compare a status with
`Status`.
"""

from taskclient.models.histories import Attempt, HistoryEntry, LogLine
from taskclient.models.pages import GrowingPage, Items, Page
from taskclient.models.problems import FieldError, Problem
from taskclient.models.tasks import (
    TERMINAL,
    BatchAnswer,
    BatchResult,
    NewTask,
    RelatedTask,
    Status,
    StatusCounts,
    Task,
    TaskPage,
)
from taskclient.models.workers import Queue, Setting, TaskType, Worker

__all__ = [
    "TERMINAL",
    "Attempt",
    "BatchAnswer",
    "BatchResult",
    "FieldError",
    "GrowingPage",
    "HistoryEntry",
    "Items",
    "LogLine",
    "NewTask",
    "Page",
    "Problem",
    "Queue",
    "RelatedTask",
    "Setting",
    "Status",
    "StatusCounts",
    "Task",
    "TaskPage",
    "TaskType",
    "Worker",
]
