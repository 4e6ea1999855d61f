"""Request and response bodies.

Those of a feature with a folder of its own are there: see `taskapi.openapi.SCHEMA_MODULES`.
"""

from taskapi.schemas.batches import BatchAnswer, BatchResult, BatchSubmission, BatchTask
from taskapi.schemas.health import HealthStatus, Uptime
from taskapi.schemas.history import Attempt, Attempts, History, HistoryEntry, LogLine, LogPage
from taskapi.schemas.problems import FieldError, Problem, ProblemCode
from taskapi.schemas.settings import Setting, SettingChange, Settings
from taskapi.schemas.tasks import ActionReason, RelatedTask, RelatedTaskPage, StatusCounts, Task, TaskPage
from taskapi.schemas.workers import Queue, Queues, TaskType, TaskTypes, Worker, Workers
from taskcore.submission.spec import TaskSubmission

__all__ = [
    "ActionReason",
    "Attempt",
    "Attempts",
    "BatchAnswer",
    "BatchResult",
    "BatchSubmission",
    "BatchTask",
    "FieldError",
    "HealthStatus",
    "History",
    "HistoryEntry",
    "LogLine",
    "LogPage",
    "Problem",
    "ProblemCode",
    "Queue",
    "Queues",
    "RelatedTask",
    "RelatedTaskPage",
    "Setting",
    "SettingChange",
    "Settings",
    "StatusCounts",
    "Task",
    "TaskPage",
    "TaskSubmission",
    "TaskType",
    "TaskTypes",
    "Uptime",
    "Worker",
    "Workers",
]
