"""The stream of a watch: past changes, new changes, bookmarks, and the end that a test asks for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.collector_k8s.fakes.event_log import Change, Expired, Selector
from tests.collector_k8s.fakes.responses import error_line

if TYPE_CHECKING:
    from tests.collector_k8s.fakes.cluster import FakeCluster

Write = Callable[[bytes], None]


class ConnectionCut(Exception):
    """The connection has to be closed without a proper end."""


@dataclass
class WatchStream:
    """One watch. Its methods are called, and their effects read, while holding the event log's `changed`."""

    group: str
    selector: Selector
    version: int
    bookmark_interval_s: float | None
    ends_after_s: float
    is_open: bool = True
    is_silent: bool = False
    sent: int = 0
    last_words: bytes | None = None
    breaks: bool = False

    def end(self, last_words: bytes = b"") -> None:
        """End the stream in order, after `last_words`."""
        self.last_words, self.is_open = last_words, False

    def cut(self, last_words: bytes = b"") -> None:
        self.end(last_words)
        self.breaks = True

    def silence(self) -> None:
        self.is_silent, self.is_open = True, False

    def serve(self, cluster: FakeCluster, write: Write) -> None:
        """Serve until the stream ends. Raises: ConnectionCut, OSError."""
        try:
            cluster.events.require_known(self.version)
            cluster.streams.append(self)
            self._serve(cluster, write)
        except Expired:
            write(error_line(410, "too old resource version"))
        finally:
            self.is_open = False

    def _serve(self, cluster: FakeCluster, write: Write) -> None:
        closing, until = cluster.closing, time.monotonic() + self.ends_after_s
        bookmark_at = self._next_bookmark()
        while time.monotonic() < until:
            changes = self._await_changes(cluster, min(until, bookmark_at))
            if self.is_silent:
                closing.wait()
                raise ConnectionCut
            if self.last_words is not None:
                self._write_end(write)
                return
            self._send(changes, write)
            if time.monotonic() >= bookmark_at:
                write(self._bookmark())
                bookmark_at = self._next_bookmark()
        if self.bookmark_interval_s is not None:
            write(self._bookmark())

    def _await_changes(self, cluster: FakeCluster, until: float) -> list[Change]:
        """Wait for changes after the stream's version, and advance it to the version of the log."""
        with cluster.events.changed:
            changes: list[Change] = []
            while not (self.is_silent or self.last_words is not None):
                changes = cluster.events.changes_after(self.version)
                self.version = max(self.version, cluster.events.version)
                left_s = until - time.monotonic()
                if changes or left_s <= 0:
                    break
                cluster.events.changed.wait(left_s)
            return changes

    def _send(self, changes: list[Change], write: Write) -> None:
        for change in changes:
            if self.selector(change.event):
                write(change.line(self.group))
                self.sent += 1

    def _write_end(self, write: Write) -> None:
        write(self.last_words or b"")
        if self.breaks:
            raise ConnectionCut

    def _next_bookmark(self) -> float:
        return float("inf") if self.bookmark_interval_s is None else time.monotonic() + self.bookmark_interval_s

    def _bookmark(self) -> bytes:
        metadata = {"resourceVersion": str(self.version), "creationTimestamp": None}
        involved: dict[str, Any] = {"involvedObject" if self.group == "v1" else "regarding": {}}
        body = {"kind": "Event", "apiVersion": self.group, "metadata": metadata, **involved}
        return json.dumps({"type": "BOOKMARK", "object": body}).encode() + b"\n"
