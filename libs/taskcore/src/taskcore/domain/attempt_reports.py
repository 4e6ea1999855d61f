"""What a running attempt tells, cleaned and bounded, on its way to the database."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.domain.tasks import Lease

MAX_LINES = 1_000  # of an attempt; one more says that it was cut
MAX_LINE_BYTES = 8 * 1024
MAX_PROGRESS_BYTES = 16 * 1024
MAX_CHECKPOINT_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of an attempt's log, numbered from 1. `fields` is a JSON object; `told_at` of the monotonic clock."""

    lease: Lease
    number: int
    logged_at: float
    level: str
    message: str
    fields: str | None = None

    @property
    def size(self) -> int:
        return len(self.message) + len(self.fields or "")
