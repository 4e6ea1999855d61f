"""The services of an attempt: its log lines, progress and checkpoints, and other tasks, all in the database."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextvars import copy_context
from typing import Any

import structlog
from sqlalchemy import Engine, Executable

from taskcore.db import prepared
from taskcore.db.engine import is_database_unavailable
from taskcore.db.notify import OUTBOX, SyncNotifier
from taskcore.db.tasks import attempt_reports
from taskcore.domain.attempt_reports import MAX_CHECKPOINT_BYTES, MAX_LINES, MAX_PROGRESS_BYTES, LogLine
from taskcore.domain.tasks import ClaimedTask
from taskcore.errors import DatabaseUnavailable, LeaseLost
from taskcore.execution.json_cleaning import clean_fields, clean_json, clean_line
from taskcore.execution.report_writer import ReportWriter
from taskcore.observability.log_context import is_in_attempt
from taskcore.observability.redaction import redactor_of
from taskcore.settings import Settings
from taskcore.submission.from_plugin import get_task, submit_task

log = structlog.stdlib.get_logger(__name__)


class DatabaseServices:
    """The services of one attempt, created in its context. Thread-safe, because a plugin may start threads.

    `max_queues` is the setting `queues.max`, without an override. Every method raises `DatabaseUnavailable` while the
    database is unavailable.
    """

    def __init__(self, engine: Engine, report_writer: ReportWriter, settings: Settings, claimed: ClaimedTask) -> None:
        self._engine = engine
        self._report_writer = report_writer
        self._redactor = redactor_of(settings.log.redacted_fields)
        self._redacts_progress = settings.log.redact_results
        self._max_queues = settings.queues.max
        self._lease = claimed.lease
        self._context = copy_context()
        self._lock = threading.Lock()
        self._lines = 0

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Add a line to the task's log, and to the worker's log if its level allows. Both are redacted."""
        shown = self._redact(fields)
        text, cleaned = clean_line(self._redactor.redact_text(clean_line(message, {})[0]), shown)
        write = getattr(log.bind(**shown), level)
        if is_in_attempt():
            write(text)
        else:
            self._context.copy().run(write, text)
        with self._lock:
            self._lines += 1
            if self._lines <= MAX_LINES:
                self._add(level, text, cleaned)
            elif self._lines == MAX_LINES + 1:
                self._add("warning", f"cut here: the log of an attempt has at most {MAX_LINES} lines", None)

    def progress(self, value: Any) -> None:
        redactor = self._redactor if self._redacts_progress else None
        self._report_writer.set_progress(self._lease, clean_json(value, MAX_PROGRESS_BYTES, redactor))

    def save_checkpoint(self, value: Any) -> None:
        """Raises `LeaseLost`."""
        rows = attempt_reports.document_rows({self._lease: clean_json(value, MAX_CHECKPOINT_BYTES)})
        if not self._execute(attempt_reports.save_checkpoint(), {"rows": rows}):
            raise LeaseLost

    def submit(self, task: Mapping[str, Any]) -> int:
        """Raises `InvalidTask`."""
        task_id = submit_task(self._execute, task, f"task:{self._lease.task_id}", self._max_queues)
        SyncNotifier(self._engine).notify(OUTBOX)
        return task_id

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return get_task(self._execute, task_id)

    def _redact(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields as JSON without secrets. Some values become text in JSON, and some become mappings."""
        return self._redactor.redact_fields(clean_fields(self._redactor.redact_fields(fields)))

    def _add(self, level: str, message: str, fields: str | None) -> None:
        self._report_writer.add_line(LogLine(self._lease, self._lines, time.monotonic(), level, message, fields))

    def _execute(self, statement: Executable, parameters: Mapping[str, Any]) -> list[Any]:
        try:
            return prepared.execute(self._engine, statement, parameters)
        except Exception as exc:
            if not is_database_unavailable(exc):
                raise
            raise DatabaseUnavailable from exc
