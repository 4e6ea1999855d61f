"""Which attempts run in the threads of an executor process, in shared memory that outlives the process."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from taskcore.domain.tasks import AttemptKey, ClaimedTask

NO_SLOT = -1


@dataclass(frozen=True, slots=True)
class AttemptEntry:
    """An attempt that runs in a thread. `deadline` is on this machine's monotonic clock, or None."""

    task_id: int
    attempt: int
    deadline: float | None

    @property
    def key(self) -> AttemptKey:
        return self.task_id, self.attempt


class _Slot(ctypes.Structure):
    _fields_ = (("task_id", ctypes.c_int64), ("attempt", ctypes.c_int32), ("deadline", ctypes.c_double))


class AttemptTable:
    """One slot per thread. The supervisor creates it, and the threads of one executor process write it."""

    def __init__(self, threads: int) -> None:
        self._slots: Any = get_context("spawn").RawArray(_Slot, threads)

    def entries(self) -> list[AttemptEntry]:
        """Return the attempts that run, or ran when the process ended. A slot that is being written counts as free."""
        return [AttemptEntry(slot.task_id, slot.attempt, slot.deadline or None) for slot in self._slots if slot.task_id]

    def keys(self) -> frozenset[AttemptKey]:
        return frozenset(entry.key for entry in self.entries())

    def writer(self) -> AttemptTableWriter:
        return AttemptTableWriter(self._slots)


class AttemptTableWriter:
    """The executor's side. Thread-safe."""

    def __init__(self, slots: Any) -> None:
        self._slots = slots
        self._free = list(range(len(slots)))
        self._lock = threading.Lock()

    def place(self, claimed: ClaimedTask, deadline: float | None, own_process: bool) -> int:
        """Enter an attempt and return its slot.

        An attempt in its own process gets `NO_SLOT`, because a crash of this process says nothing about it.
        """
        if own_process:
            return NO_SLOT
        with self._lock:
            if not self._free:
                return NO_SLOT
            index = self._free.pop()
        slot = self._slots[index]
        slot.attempt, slot.deadline = claimed.lease.attempt, deadline or 0.0
        slot.task_id = claimed.lease.task_id  # last, because it makes the entry visible
        return index

    def clear(self, slot: int) -> None:
        if slot != NO_SLOT:
            self._slots[slot].task_id = 0
            with self._lock:
                self._free.append(slot)
