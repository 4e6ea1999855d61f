"""The interface of what reacts to stored events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from taskcore.domain.kubernetes_events import StoredEvent


class EventHook(Protocol):
    def on_stored(self, connection: Connection, events: Sequence[StoredEvent]) -> bool:
        """React to new current versions, in the transaction that stores them.

        Return whether `after_commit` has to be called.
        """

    def after_commit(self) -> None:
        """Follow up once the transaction has been committed."""

    def resolve_inactive(self, connection: Connection, cluster: str, scopes: Sequence[str]) -> bool:
        """Resolve a batch of inactive alerts. Called every few seconds, in a transaction of its own.

        `scopes` are those of the cluster that are being read. Return whether there may be more.
        """
