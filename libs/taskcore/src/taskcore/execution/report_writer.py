"""Writes down what running attempts tell: their log lines and progress, of all attempts of a process in batches."""

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
from taskcore.domain.tasks import Lease
from taskcore.errors import first_line

FLUSH_INTERVAL_S = 0.5
MAX_RETRY_WAIT_S = 5.0
MAX_BATCH = 500
MAX_BUFFERED_BYTES = 8 * 1024 * 1024

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _DroppedLines:
    """Lines that there was no room for."""

    count: int
    last: LogLine

    def as_line(self) -> LogLine:
        """In the place of the last one."""
        message = f"{self.count} lines are missing: the database was away"
        return replace(self.last, level="warning", message=message, fields=None)


@dataclass(frozen=True, slots=True)
class _Batch:
    lines: list[LogLine]
    lost: Mapping[Lease, _DroppedLines]
    progress: Mapping[Lease, str | None]

    def __bool__(self) -> bool:
        return bool(self.lines or self.lost or self.progress)


class ReportWriter:
    """Thread-safe. What is told is written within about `GATHER_S`, or by `flush`; with nothing told nothing is asked.

    While the database is away it keeps `MAX_WAITING_BYTES` of lines, the newest, and says how many are missing.
    """

    def __init__(self, engine: Engine, max_buffered_bytes: int = MAX_BUFFERED_BYTES) -> None:
        self._engine = engine
        self._max_waiting_bytes = max_buffered_bytes
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()  # whoever flushes also waits for what others have begun to write
        self._lines: deque[LogLine] = deque()
        self._bytes = 0
        self._dropped: dict[Lease, _DroppedLines] = {}
        self._progress: dict[Lease, str | None] = {}
        self._has_pending = threading.Event()  # cleared when all is written
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write what can be written now."""
        self._is_stopping.set()
        self._has_pending.set()
        self._thread.join(MAX_RETRY_WAIT_S)

    def add_line(self, line: LogLine) -> None:
        with self._lock:
            self._lines.append(line)
            self._bytes += line.size
            self._make_room()
            self._has_pending.set()

    def set_progress(self, lease: Lease, document: str | None) -> None:
        """The last one counts. `document` is JSON."""
        with self._lock:
            self._progress[lease] = document
            self._has_pending.set()

    def flush(self) -> None:
        """Once it returns, everything that was told before is written.

        Raises:
            Exception: of `is_database_away`; what could not be written is kept.
        """
        if not self._has_pending.is_set():
            return
        with self._write_lock:
            while (batch := self._take()) is not None:
                self._write_or_keep(batch)

    def _run(self) -> None:
        wait_s = FLUSH_INTERVAL_S
        while not self._is_stopping.is_set():
            self._has_pending.wait()
            self._is_stopping.wait(wait_s)
            try:
                self.flush()
                wait_s = FLUSH_INTERVAL_S
            except Exception as exc:  # of a database that is away: all is kept, the next round tries again
                log.warning("database.unavailable", waiting_lines=len(self._lines), error=first_line(exc))
                wait_s = min(MAX_RETRY_WAIT_S, wait_s * 2)

    def _make_room(self) -> None:
        while self._bytes > self._max_waiting_bytes:
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
            # What cannot be stored must not keep the rest from it, nor any attempt from its end.
            log.exception("task.report_not_stored", lines=len(batch.lines), progress=len(batch.progress))

    def _write(self, batch: _Batch) -> None:
        if batch.lost:
            log.warning("task.lines_dropped", count=sum(lost.count for lost in batch.lost.values()))
        if lines := [lost.as_line() for lost in batch.lost.values()] + batch.lines:
            rows = attempt_reports.log_line_rows(lines, time.monotonic())
            prepared.execute(self._engine, attempt_reports.append_log_lines(), {"rows": rows})
        if batch.progress:
            prepared.execute(
                self._engine, attempt_reports.set_progress(), {"rows": attempt_reports.document_rows(batch.progress)}
            )

    def _keep(self, batch: _Batch) -> None:
        """Put it back before what was told since."""
        with self._lock:
            self._lines.extendleft(reversed(batch.lines))
            self._bytes += sum(line.size for line in batch.lines)
            self._progress = {**batch.progress, **self._progress}
            since, self._dropped = self._dropped, dict(batch.lost)
            for lost in since.values():
                self._drop(lost.count, lost.last)
            self._make_room()
