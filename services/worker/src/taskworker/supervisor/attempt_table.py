"""Which tasks run in the threads of an executor process: in memory that its supervisor shares, and that outlives it."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from taskcore.domain.tasks import ClaimedTask

NO_SLOT = -1


@dataclass(frozen=True, slots=True)
class AttemptEntry:
    """An attempt that runs in a thread. `deadline` is this machine's monotonic clock; None: it has none."""

    task_id: int
    attempt: int
    deadline: float | None


class _Slot(ctypes.Structure):
    _fields_ = (("task_id", ctypes.c_int64), ("attempt", ctypes.c_int32), ("deadline", ctypes.c_double))


class AttemptTable:
    """One place a thread. Made by the supervisor, written by one executor process, from its threads."""

    def __init__(self, threads: int) -> None:
        self._slots: Any = get_context("spawn").RawArray(_Slot, threads)

    def entries(self) -> list[AttemptEntry]:
        """What ran there last, or runs there now. A place that is being written counts as free."""
        return [AttemptEntry(p.task_id, p.attempt, p.deadline or None) for p in self._slots if p.task_id]

    def writer(self) -> AttemptTableWriter:
        return AttemptTableWriter(self._slots)


class AttemptTableWriter:
    """The executor's side: thread-safe."""

    def __init__(self, places: Any) -> None:
        self._slots = places
        self._free = list(range(len(places)))
        self._lock = threading.Lock()

    def place(self, claimed: ClaimedTask, deadline: float | None, in_process: bool) -> int:
        """Post an attempt. One that has a process of its own is not: this process's end says nothing about it."""
        if in_process:
            return NO_SLOT
        with self._lock:
            if not self._free:
                return NO_SLOT
            slot = self._free.pop()
        place = self._slots[slot]
        place.attempt, place.deadline = claimed.lease.attempt, deadline or 0.0
        place.task_id = claimed.lease.task_id  # last: it makes the place count
        return slot

    def clear(self, slot: int) -> None:
        if slot != NO_SLOT:
            self._slots[slot].task_id = 0
            with self._lock:
                self._free.append(slot)
