"""The tables. Each invariant is stated at the column or index that keeps it."""

from taskcore.db.models.analytics import (
    AnalyticsCursor,
    AnalyticsMetric,
    AnalyticsSample,
    AnalyticsSeries,
    SubmitterDay,
)
from taskcore.db.models.base import Model
from taskcore.db.models.kubernetes import Alert, CollectorLease, K8sCursor, K8sEvent, K8sGap
from taskcore.db.models.schedules import Schedule, ScheduleFire
from taskcore.db.models.tasks import Outbox, Task, TaskAttempt, TaskDependency, TaskHistory, TaskLog
from taskcore.db.models.workers import Queue, Setting, TaskType, Worker

__all__ = [
    "Alert",
    "AnalyticsCursor",
    "AnalyticsMetric",
    "AnalyticsSample",
    "AnalyticsSeries",
    "CollectorLease",
    "K8sCursor",
    "K8sEvent",
    "K8sGap",
    "Model",
    "Outbox",
    "Queue",
    "Schedule",
    "ScheduleFire",
    "Setting",
    "SubmitterDay",
    "Task",
    "TaskAttempt",
    "TaskDependency",
    "TaskHistory",
    "TaskLog",
    "TaskType",
    "Worker",
]
