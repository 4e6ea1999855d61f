"""What a running attempt reports, cleaned and bounded, on its way to the database."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.domain.tasks import Lease

MAX_LINES = 1_000  # per attempt; one more line says that the log was truncated
MAX_LINE_BYTES = 8 * 1024
MAX_PROGRESS_BYTES = 16 * 1024
MAX_CHECKPOINT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of an attempt's log, numbered from 1. `fields` is a JSON object; `logged_at` is monotonic time."""

    lease: Lease
    number: int
    logged_at: float
    level: str
    message: str
    fields: str | None = None

    @property
    def size(self) -> int:
        return len(self.message) + len(self.fields or "")
