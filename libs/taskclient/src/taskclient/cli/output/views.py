"""Views of tasks, task types, workers, queues and settings as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, TypeVar

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from taskclient.cli.output.formatting import first_line, format_cell, format_status
from taskclient.models import (
    HistoryEntry,
    LogLine,
    Queue,
    RelatedTask,
    Setting,
    StatusCounts,
    Task,
    TaskPage,
    TaskType,
    Worker,
)

T = TypeVar("T")
Columns = dict[str, Callable[[T], Any]]


def fields(*names: str) -> Columns[Any]:
    """Return columns that show the fields with these names."""
    return {name.replace("_", " "): attrgetter(name) for name in names}


TASK_COLUMNS: Columns[Task] = {
    "id": lambda task: task.id,
    "name": lambda task: first_line(task.name),
    **fields("type", "queue", "status", "priority"),
    "attempt": lambda task: f"{task.attempt}/{task.max_attempts}",
    "created": lambda task: task.created_at,
    "finished": lambda task: task.finished_at,
}
HISTORY_COLUMNS: Columns[HistoryEntry] = {
    "at": lambda entry: entry.at,
    "from": lambda entry: format_status(entry.from_status),
    "to": lambda entry: format_status(entry.to_status) if entry.to_status else "(deleted)",
    **fields("attempt", "actor", "details"),
}
LOG_COLUMNS: Columns[LogLine] = fields("at", "attempt", "level", "message", "fields")
RELATED_COLUMNS: Columns[RelatedTask] = {
    "id": lambda task: task.id,
    "name": lambda task: first_line(task.name),
    "status": lambda task: task.status or "(deleted)",
}
SETTING_COLUMNS: Columns[Setting] = {
    **fields("name", "value", "default", "source"),
    "changed": lambda setting: setting.changed_at,
    "by": lambda setting: setting.changed_by,
}
TYPE_COLUMNS: Columns[TaskType] = {
    **fields("name", "queue"),
    "attempts": lambda task_type: task_type.max_attempts,
    "served": lambda task_type: task_type.is_served,
    "description": lambda task_type: first_line(task_type.description),
}
WORKER_COLUMNS: Columns[Worker] = {
    **fields("id", "host", "pid"),
    "live": lambda worker: worker.is_live,
    "held": lambda worker: f"{worker.held}/{worker.slots}",
    **fields("queues", "types"),
    "started": lambda worker: worker.started_at,
    "seen": lambda worker: worker.seen_at,
}
QUEUE_COLUMNS: Columns[Queue] = {
    **fields("name", "waiting", "dispatched", "delayed", "running", "live_slots"),
    "oldest (s)": lambda queue: None if queue.oldest_age_s is None else f"{queue.oldest_age_s:.1f}",
    "paused": lambda queue: queue.pause_reason or queue.paused_at,
    "by": lambda queue: queue.paused_by,
}


def fields_view(record: msgspec.Struct) -> RenderableType:
    """Show each field on its own line."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in msgspec.structs.asdict(record).items():
        rows.add_row(name, _cell(name, value))
    return rows


def task_page_view(page: TaskPage) -> RenderableType:
    total = f"{page.total} or more" if page.total_is_capped else f"{page.total}"
    return list_view(page.items, TASK_COLUMNS, f"total: {total} (shown: {len(page.items)})")


def counts_view(counts: StatusCounts) -> RenderableType:
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(justify="right")
    for name, count in msgspec.structs.asdict(counts).items():
        rows.add_row(format_status(name), format_cell(count))
    return rows


def list_view(items: Sequence[T], columns: Columns[T], footer: str | None = None) -> RenderableType:
    """Show one row per item above `footer`, which defaults to the number of items."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in columns:
        table.add_column(name.upper(), overflow="fold", no_wrap=name in {"id", "status"})
    for item in items:
        table.add_row(*(_cell(name, read(item)) for name, read in columns.items()))
    return Group(table, Text(footer or f"total: {len(items)}"))


def _cell(name: str, value: Any) -> Text:
    if isinstance(value, Text):
        return value
    return format_status(value) if name == "status" else format_cell(value)
