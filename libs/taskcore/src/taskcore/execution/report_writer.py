"""Stores what running attempts report, log lines and progress, for all attempts of a process in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import Engine

from taskcore.db import prepared
from taskcore.db.engine import is_database_unavailable
from taskcore.db.tasks import attempt_reports
from taskcore.domain.attempt_reports import LogLine
from taskcore.domain.backoff import Backoff
from taskcore.domain.tasks import Lease
from taskcore.observability.outages import DATABASE

FLUSH_INTERVAL_S = 0.5
FIRST_RETRY_WAIT_S = 1.0
MAX_RETRY_WAIT_S = 5.0
MAX_BATCH = 500
MAX_BUFFERED_BYTES = 8 * 1024 * 1024

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _DroppedLines:
    """Lines of one attempt that did not fit into the buffer."""

    count: int
    last: LogLine

    def as_line(self) -> LogLine:
        """Return the line that replaces the last of them."""
        message = f"{self.count} lines are missing: the database was unavailable"
        return replace(self.last, level="warning", message=message, fields=None)


@dataclass(frozen=True, slots=True)
class _Batch:
    lines: list[LogLine]
    dropped: Mapping[Lease, _DroppedLines]
    progress: Mapping[Lease, str | None]

    def __bool__(self) -> bool:
        return bool(self.lines or self.dropped or self.progress)


class ReportWriter:
    """Thread-safe. Reports are stored within about `FLUSH_INTERVAL_S`, or by `flush`.

    While the database is unavailable, it keeps the newest `max_buffered_bytes` of lines and counts those it drops.
    """

    def __init__(self, engine: Engine, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> None:
        self._engine = engine
        self._max_buffered_bytes = max_buffered_bytes
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()  # makes `flush` wait for what another thread is writing
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._dropped: dict[Lease, _DroppedLines] = {}
        self._progress: dict[Lease, str | None] = {}
        self._has_pending = threading.Event()  # cleared when everything is stored
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Store what can be stored now."""
        self._is_stopping.set()
        self._has_pending.set()
        self._thread.join(MAX_RETRY_WAIT_S)

    def add_line(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += line.size
            self._drop_excess()
            self._has_pending.set()

    def set_progress(self, lease: Lease, document: str | None) -> None:
        """Replace the attempt's progress by `document`, which is JSON."""
        with self._lock:
            self._progress[lease] = document
            self._has_pending.set()

    def flush(self) -> None:
        """Store everything that was reported before the call.

        Raises:
            Exception: one for which `is_database_unavailable` holds. What was not stored is kept.
        """
        if not self._has_pending.is_set():
            return
        with self._write_lock:
            while (batch := self._take()) is not None:
                self._write_or_keep(batch)

    def _run(self) -> None:
        backoff = Backoff(FIRST_RETRY_WAIT_S, MAX_RETRY_WAIT_S)
        wait_s = FLUSH_INTERVAL_S
        while not self._is_stopping.is_set():
            self._has_pending.wait()
            self._is_stopping.wait(wait_s)
            try:
                self.flush()
                DATABASE.succeeded()
                backoff.reset()
                wait_s = FLUSH_INTERVAL_S
            except Exception as exc:  # the database is unavailable: everything is kept for the next round
                DATABASE.failed(exc, waiting_lines=len(self._lines))
                wait_s = backoff.next_s()

    def _drop_excess(self) -> None:
        while self._bytes > self._max_buffered_bytes:
            line = self._lines.popleft()
            self._bytes -= line.size
            self._drop(1, line)

    def _drop(self, count: int, last: LogLine) -> None:
        before = self._dropped.get(last.lease)
        self._dropped[last.lease] = _DroppedLines(count + (before.count if before else 0), last)

    def _take(self) -> _Batch | None:
        with self._lock:
            lines = [self._lines.popleft() for _ in range(min(MAX_BATCH, len(self._lines)))]
            self._bytes -= sum(line.size for line in lines)
            batch = _Batch(lines, self._dropped, self._progress)
            self._dropped, self._progress = {}, {}
            if not batch:
                self._has_pending.clear()
        return batch or None

    def _write_or_keep(self, batch: _Batch) -> None:
        try:
            self._write(batch)
        except Exception as exc:
            if is_database_unavailable(exc):
                self._keep(batch)
                raise
            # A report that cannot be stored must not hold up other reports, nor the result of any attempt.
            log.exception("task.report_not_stored", lines=len(batch.lines), progress=len(batch.progress))

    def _write(self, batch: _Batch) -> None:
        if batch.dropped:
            log.warning("task.lines_dropped", count=sum(dropped.count for dropped in batch.dropped.values()))
        if lines := [dropped.as_line() for dropped in batch.dropped.values()] + batch.lines:
            rows = attempt_reports.log_line_rows(lines, time.monotonic())
            prepared.execute(self._engine, attempt_reports.append_log_lines(), {"rows": rows})
        if batch.progress:
            rows = attempt_reports.document_rows(batch.progress)
            prepared.execute(self._engine, attempt_reports.set_progress(), {"rows": rows})

    def _keep(self, batch: _Batch) -> None:
        """Put the batch back, before what was reported since."""
        with self._lock:
            self._lines.extendleft(reversed(batch.lines))
            self._bytes += sum(line.size for line in batch.lines)
            self._progress = {**batch.progress, **self._progress}
            since, self._dropped = self._dropped, dict(batch.dropped)
            for dropped in since.values():
                self._drop(dropped.count, dropped.last)
            self._drop_excess()
