"""What a reflector or a relister hands to the writer."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.domain.kubernetes_events import Event


@dataclass(frozen=True, slots=True)
class BufferItem:
    """An event, or progress without one (a bookmark, the end of a list), that was read in `scope`.

    `scope` is a namespace; empty means all namespaces. `seen_at` is when it was read, in `monotonic_s`. `position` is a
    resource version up to which everything has been read, this item included. `is_relist` marks items of a relist.
    `gap_since`: events between that time and `seen_at` may have been lost. `is_set_back`: what follows was read after
    the cluster had been set back to an earlier resource version.
    """

    scope: str
    seen_at: float
    event: Event | None = None
    position: str | None = None
    is_relist: bool = False
    gap_since: float | None = None
    is_set_back: bool = False
