"""The interface for authors of task types: `Plugin`, what a run gets to work with, and what it can return or raise."""

from taskcore.domain.outcomes import Cancel, Fail, Pause, RetryAfter
from taskcore.domain.retry import RetryPolicy
from taskcore.plugins.context import TaskContext
from taskcore.plugins.interrupts import InterruptCause, Interrupted
from taskcore.plugins.isolation import Isolation
from taskcore.plugins.plugin import (
    ENTRY_POINT_GROUP,
    Parameters,
    Plugin,
    Plugins,
    build_plugins,
    load_plugins,
)

__all__ = [
    "ENTRY_POINT_GROUP",
    "Cancel",
    "Fail",
    "InterruptCause",
    "Interrupted",
    "Isolation",
    "Parameters",
    "Pause",
    "Plugin",
    "Plugins",
    "RetryAfter",
    "RetryPolicy",
    "TaskContext",
    "build_plugins",
    "load_plugins",
]
