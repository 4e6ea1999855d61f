"""Which tasks run in the threads of an executor process: in memory that its supervisor shares, and that outlives it."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from taskcore.domain.tasks import Claimed

NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Posted:
    """An attempt that runs in a thread. `deadline` is this machine's monotonic clock; None: it has none."""

    task_id: int
    attempt: int
    deadline: float | None


class _Place(ctypes.Structure):
    _fields_ = (("task_id", ctypes.c_int64), ("attempt", ctypes.c_int32), ("deadline", ctypes.c_double))


class Board:
    """One place a thread. Made by the supervisor, written by one executor process, from its threads."""

    def __init__(self, threads: int) -> None:
        self._places: Any = get_context("spawn").RawArray(_Place, threads)

    def posted(self) -> list[Posted]:
        """What ran there last, or runs there now. A place that is being written counts as free."""
        return [Posted(p.task_id, p.attempt, p.deadline or None) for p in self._places if p.task_id]

    def writer(self) -> BoardWriter:
        return BoardWriter(self._places)


class BoardWriter:
    """The executor's side: thread-safe."""

    def __init__(self, places: Any) -> None:
        self._places = places
        self._free = list(range(len(places)))
        self._lock = threading.Lock()

    def place(self, claimed: Claimed, deadline: float | None, in_process: bool) -> int:
        """Post an attempt. One that has a process of its own is not: this process's end says nothing about it."""
        if in_process:
            return NOWHERE
        with self._lock:
            if not self._free:
                return NOWHERE
            slot = self._free.pop()
        place = self._places[slot]
        place.attempt, place.deadline = claimed.lease.attempt, deadline or 0.0
        place.task_id = claimed.lease.task_id  # last: it makes the place count
        return slot

    def clear(self, slot: int) -> None:
        if slot != NOWHERE:
            self._places[slot].task_id = 0
            with self._lock:
                self._free.append(slot)
