"""Views of tasks, task types, workers, queues and settings as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

TASK_COLUMNS: Columns[Task] = {
    "id": lambda task: task.id,
    "name": lambda task: first_line(task.name),
    "type": lambda task: task.type,
    "queue": lambda task: task.queue,
    "status": lambda task: format_status(task.status),
    "priority": lambda task: task.priority,
    "attempt": lambda task: f"{task.attempt}/{task.max_attempts}",
    "created": lambda task: task.created_at,
    "finished": lambda task: task.finished_at,
}
HISTORY_COLUMNS: Columns[HistoryEntry] = {
    "at": lambda entry: entry.at,
    "from": lambda entry: format_status(entry.from_status),
    "to": lambda entry: format_status(entry.to_status) if entry.to_status else "(deleted)",
    "attempt": lambda entry: entry.attempt,
    "actor": lambda entry: entry.actor,
    "details": lambda entry: entry.details,
}
LOG_COLUMNS: Columns[LogLine] = {
    "at": lambda line: line.at,
    "attempt": lambda line: line.attempt,
    "level": lambda line: line.level,
    "message": lambda line: line.message,
    "fields": lambda line: line.fields,
}
RELATED_COLUMNS: Columns[RelatedTask] = {
    "id": lambda task: task.id,
    "name": lambda task: first_line(task.name),
    "status": lambda task: format_status(task.status) if task.status else "(deleted)",
}
SETTING_COLUMNS: Columns[Setting] = {
    "name": lambda setting: setting.name,
    "value": lambda setting: setting.value,
    "default": lambda setting: setting.default,
    "source": lambda setting: setting.source,
    "changed": lambda setting: setting.changed_at,
    "by": lambda setting: setting.changed_by,
}
TYPE_COLUMNS: Columns[TaskType] = {
    "name": lambda task_type: task_type.name,
    "queue": lambda task_type: task_type.queue,
    "attempts": lambda task_type: task_type.max_attempts,
    "served": lambda task_type: task_type.is_served,
    "description": lambda task_type: first_line(task_type.description),
}
WORKER_COLUMNS: Columns[Worker] = {
    "id": lambda worker: worker.id,
    "host": lambda worker: worker.host,
    "pid": lambda worker: worker.pid,
    "live": lambda worker: worker.is_live,
    "held": lambda worker: f"{worker.held}/{worker.slots}",
    "queues": lambda worker: worker.queues,
    "types": lambda worker: worker.types,
    "started": lambda worker: worker.started_at,
    "seen": lambda worker: worker.seen_at,
}
QUEUE_COLUMNS: Columns[Queue] = {
    "name": lambda queue: queue.name,
    "waiting": lambda queue: queue.waiting,
    "dispatched": lambda queue: queue.dispatched,
    "delayed": lambda queue: queue.delayed,
    "running": lambda queue: queue.running,
    "live slots": lambda queue: queue.live_slots,
    "oldest (s)": lambda queue: None if queue.oldest_age_s is None else f"{queue.oldest_age_s:.1f}",
    "paused": lambda queue: queue.pause_reason or queue.paused_at,
    "by": lambda queue: queue.paused_by,
}


class Deletion(msgspec.Struct, frozen=True):
    """What is printed after a deletion."""

    id: int
    deleted: bool = True


def fields_view(record: msgspec.Struct) -> RenderableType:
    """Show each field on its own line."""
    rows = Table.grid(padding=(0, 2))
    rows.add_column(no_wrap=True)
    rows.add_column(overflow="fold")
    for name, value in msgspec.structs.asdict(record).items():
        rows.add_row(name, format_status(value) if name == "status" else format_cell(value))
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
        values = (read(item) for read in columns.values())
        table.add_row(*(value if isinstance(value, Text) else format_cell(value) for value in values))
    return Group(table, Text(footer or f"total: {len(items)}"))
