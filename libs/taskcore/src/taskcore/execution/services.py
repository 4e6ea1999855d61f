"""What a worker's attempts ask of the world outside: their logs, progress and checkpoints, and other tasks."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
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
from taskcore.execution.json_cleaning import clean_json, clean_line
from taskcore.execution.report_writer import ReportWriter
from taskcore.observability.log_context import attempt_context
from taskcore.observability.redaction import Redactor
from taskcore.submission.from_plugin import get_task, submit_task

log = structlog.stdlib.get_logger(__name__)


class DatabaseServices:
    """Those of one attempt. Thread-safe: a plugin may have threads of its own.

    Raises `TemporarilyUnavailable` while the database is away.
    """

    def __init__(self, engine: Engine, report_writer: ReportWriter, masking: Redactor, claimed: ClaimedTask) -> None:
        self._engine = engine
        self._report_writer = report_writer
        self._masking = masking
        self._claimed = claimed
        self._lease = claimed.lease
        self._lock = threading.Lock()
        self._lines = 0

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """To the worker's log by its level, and to the task's in any case. Masked are both."""
        text, cleaned = clean_line(self._masking.redact_text(message), self._masking.redact_fields(fields))
        with attempt_context(self._claimed):  # a thread of the plugin's own may not know
            getattr(log.bind(**fields), level)(text)
        with self._lock:
            self._lines += 1
            if self._lines <= MAX_LINES:
                self._add(level, text, cleaned)
            elif self._lines == MAX_LINES + 1:
                self._add("warning", f"cut here: an attempt's log has at most {MAX_LINES} lines", None)

    def progress(self, value: Any) -> None:
        self._report_writer.set_progress(self._lease, clean_json(value, MAX_PROGRESS_BYTES))

    def save_checkpoint(self, value: Any) -> None:
        """Raises `LeaseLost`."""
        rows = attempt_reports.document_rows({self._lease: clean_json(value, MAX_CHECKPOINT_BYTES)})
        if not self._execute(attempt_reports.save_checkpoint(), {"rows": rows}):
            raise LeaseLost

    def submit(self, task: Mapping[str, Any]) -> int:
        """Raises `InvalidTask`."""
        task_id = submit_task(self._execute, task, f"task:{self._lease.task_id}")
        SyncNotifier(self._engine).notify(OUTBOX)
        return task_id

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        return get_task(self._execute, task_id)

    def _add(self, level: str, message: str, fields: str | None) -> None:
        self._report_writer.add_line(LogLine(self._lease, self._lines, time.monotonic(), level, message, fields))

    def _execute(self, statement: Executable, parameters: Mapping[str, Any]) -> list[Any]:
        try:
            return prepared.execute(self._engine, statement, parameters)
        except Exception as exc:
            if not is_database_unavailable(exc):
                raise
            raise DatabaseUnavailable from exc
