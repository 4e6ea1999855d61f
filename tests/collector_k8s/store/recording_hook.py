"""A hook that records its calls, or fails."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from taskcore.domain.kubernetes_events import StoredEvent


class RecordingHook:
    """Raises `error` when the event `fails_at` is in a batch, after a write that has to be rolled back."""

    def __init__(self, error: Exception | None = None, fails_at: str = "a") -> None:
        self.error = error
        self.fails_at = fails_at
        self.events: list[StoredEvent] = []
        self.commits = 0

    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        connection.execute(text("INSERT INTO setting (name, value, changed_by) VALUES ('x', '1', 'tests')"))
        if self.error is not None and self.fails_at in {event.uid for event in events}:
            raise self.error
        connection.execute(text("DELETE FROM setting"))
        self.events.extend(events)
        return True

    def after_commit(self) -> None:
        self.commits += 1

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        return False
