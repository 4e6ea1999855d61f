"""What goes over HTTP: the bodies of requests and answers, and nothing else.

A subject with a folder of its own has them there: see `taskapi.openapi.SUBJECTS`.
"""

from taskapi.schemas.batches import BatchAnswer, BatchResult, BatchSubmission, BatchTask
from taskapi.schemas.health import Liveness, Uptime
from taskapi.schemas.history import Attempt, Attempts, History, HistoryEntry, LogLine, TaskLog
from taskapi.schemas.problems import FieldError, Problem
from taskapi.schemas.settings import Setting, SettingChange, Settings
from taskapi.schemas.tasks import RelatedTask, RelatedTasks, StatusCounts, Task, TaskPage, Why
from taskapi.schemas.workers import Queue, Queues, TaskType, TaskTypes, Worker, Workers
from taskcore.submission.spec import TaskSubmission

__all__ = [
    "Attempt",
    "Attempts",
    "BatchAnswer",
    "BatchResult",
    "BatchSubmission",
    "BatchTask",
    "FieldError",
    "History",
    "HistoryEntry",
    "Liveness",
    "LogLine",
    "Problem",
    "Queue",
    "Queues",
    "RelatedTask",
    "RelatedTasks",
    "Setting",
    "SettingChange",
    "Settings",
    "StatusCounts",
    "Task",
    "TaskLog",
    "TaskPage",
    "TaskSubmission",
    "TaskType",
    "TaskTypes",
    "Uptime",
    "Why",
    "Worker",
    "Workers",
]
