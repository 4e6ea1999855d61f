"""The slots of a process: what it has claimed, and how much more it may claim.

A claimed task waits here until a thread takes it, so that a lost connection to the broker loses nothing. Slots are the
only back-pressure: the broker's does not apply, because a message is acknowledged before its task runs.

The states of an attempt in a worker:

| state | is in | has a slot | leaves it by |
| --- | --- | --- | --- |
| reserved | `_reserved`, a count | yes | `add_claimed`, when the claim is done: ready, or nothing was claimed |
| ready | `_held`, `_ready` | yes | `next_for_idle_thread`: assigned; `next_task`: started; `take_overdue`,
|  |  |  | `remove_unstarted`, `suspend`, `close`: gone |
| assigned | `_held` | yes | `start`, in the thread that was called for it: started; `suspend`, `close`: gone |
| started | `_held`, `_started` | yes | `finish`: finished; `release`, when its lease ended: gone |
| finished | `_held`, `_started` | yes | `release`, when its result is stored: gone |
| finished, of a short type | `_unsettled` | no | `release`, when its result is stored: gone |

A slot that is not short stays taken until the result is stored, so that the database never sees more attempts of a
process than it has slots. Short types free theirs at once, which is what prefetching them is for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.type_durations import SHORT_RUN_S, TypeDurations


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many tasks may be claimed: `general` of any type, and `short_only` more of short types."""

    general: int
    short_only: int

    def __bool__(self) -> bool:
        return self.total > 0

    @property
    def total(self) -> int:
        return self.general + self.short_only


class SlotPool:
    """Thread-safe. A slot for each of `threads`, and `prefetch_short` more for tasks of short types.

    A thread that has finished a task takes the next one itself. For tasks that are ready while threads are idle, the
    consumer calls `next_for_idle_thread`.
    """

    def __init__(self, *, threads: int, prefetch_short: int) -> None:
        self.threads = threads
        self.prefetch_short = prefetch_short
        self.durations = TypeDurations()
        self._lock = threading.Lock()
        self._reserved = 0
        self._held: dict[int, ClaimedTask] = {}
        self._unsettled: dict[Lease, ClaimedTask] = {}
        self._ready: deque[ClaimedTask] = deque()
        self._started: set[int] = set()
        self._active = 0  # threads that were called and have not become idle since
        self._taken_at = 0.0
        self._is_closed = False
        self._is_suspended = False
        self._wake: set[Callable[[], None]] = set()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def reserve(self, wanted: int, *, general_only: bool, wake: Callable[[], None]) -> Capacity:
        """Reserve up to `wanted` free slots, none of them for short types alone if `general_only`.

        The caller must pass what it got to `add_claimed`, even if it claimed nothing. When no slot is free, `wake` is
        called once, as soon as one is.
        """
        with self._lock:
            taken = self._reserved + len(self._held)
            general = 0 if self._is_closed or self._is_suspended else max(0, min(wanted, self.threads - taken))
            free = self.threads + self.prefetch_short - taken
            short_only = 0 if general_only or not self._may_prefetch() else max(0, min(wanted, free) - general)
            capacity = Capacity(general, short_only)
            self._reserved += capacity.total
            if not capacity:
                self._wake.add(wake)
            return capacity

    def add_claimed(self, capacity: Capacity, claimed: Iterable[ClaimedTask]) -> list[ClaimedTask]:
        """Turn reserved slots into held tasks. Return those that come too late, because the pool is closed."""
        with self._lock:
            self._reserved -= capacity.total
            if self._is_closed:
                return list(claimed)
            for one in claimed:
                self._held[one.lease.task_id] = one
                self._ready.append(one)
            return []

    def next_for_idle_thread(self) -> ClaimedTask | None:
        """Return a ready task for an idle thread. `None` if there is none, or enough threads are active.

        Very short tasks stay with one thread while it makes progress: handing them to another costs more than a run.
        """
        with self._lock:
            if not self._ready or self._active >= self.threads:
                return None
            makes_progress = time.monotonic() - self._taken_at < SHORT_RUN_S
            if self._active and makes_progress and self.durations.is_very_short(self._ready[0].type):
                return None
            self._active += 1
            self._taken_at = time.monotonic()
            return self._ready.popleft()

    def start(self, task_id: int) -> ClaimedTask | None:
        """Return the task for the thread that was called for it, or `None` if the pool has let go of it since."""
        with self._lock:
            if self._is_closed or task_id not in self._held:
                return None
            self._started.add(task_id)
            return self._held[task_id]

    def next_task(self) -> ClaimedTask | None:
        """Return the oldest ready task for a thread that has finished one. With `None` the thread becomes idle."""
        with self._lock:
            if not self._ready:
                self._active -= 1
                return None
            self._taken_at = time.monotonic()
            one = self._ready.popleft()
            self._started.add(one.lease.task_id)
            return one

    def forget_thread(self) -> None:
        """A thread that was called does not stop: it no longer counts, and must not ask for another task."""
        with self._lock:
            self._active -= 1

    def has_ready(self) -> bool:
        """Return whether claimed tasks wait for a thread."""
        return bool(self._ready)

    def finish(self, one: ClaimedTask) -> None:
        """The attempt has ended. Frees its slot if its type is short."""
        if self.durations.is_short(one.type):
            with self._lock:
                self._unsettled[one.lease] = one
                self._free(one.lease)
            self._wake_waiting()

    def release(self, leases: Iterable[Lease]) -> None:
        """Their results are stored: drop them and free their slots."""
        with self._lock:
            for lease in leases:
                self._unsettled.pop(lease, None)
                self._free(lease)
        self._wake_waiting()

    def close(self) -> list[ClaimedTask]:
        """Reserve and start nothing from now on. Return what has not started."""
        with self._lock:
            self._is_closed = True
            return self._remove_all_unstarted()

    def wait_until_idle(self, timeout_s: float) -> None:
        """Wait until every thread is idle, or until the timeout."""
        until = time.monotonic() + timeout_s
        while self._active and time.monotonic() < until:
            time.sleep(0.01)

    def suspend(self) -> list[ClaimedTask]:
        """Return what has not started, and reserve nothing until `resume`: another worker may hold it all soon."""
        with self._lock:
            self._is_suspended = True
            return self._remove_all_unstarted()

    def resume(self) -> None:
        self._is_suspended = False
        self._wake_waiting()

    def take_overdue(self, after_s: float) -> list[ClaimedTask]:
        """Remove the tasks that have been ready for `after_s`. What runs in front of them is no longer short."""
        now = time.monotonic()
        with self._lock:
            overdue = [one for one in self._ready if now - one.claimed_at > after_s]
            for one in overdue:
                self._ready.remove(one)
                del self._held[one.lease.task_id]
            slow = {self._held[task_id].type for task_id in self._started if task_id in self._held} if overdue else ()
        for type_ in slow:
            self.durations.observe(type_, after_s)
        if overdue:
            self._wake_waiting()
        return overdue

    def remove_unstarted(self, task_id: int, attempt: int) -> ClaimedTask | None:
        """Remove an attempt that is ready, so that it never starts. `None` if it is not ready, or not here."""
        with self._lock:
            one = self._held.get(task_id)
            if one is None or one.lease.attempt != attempt or task_id in self._started:
                return None
            if one not in self._ready:
                return None  # it is assigned to a thread
            self._ready.remove(one)
            return self._held.pop(task_id)

    def snapshot(self) -> list[ClaimedTask]:
        """Return everything that was claimed and whose result is not stored."""
        with self._lock:
            return [*self._held.values(), *self._unsettled.values()]

    def _remove_all_unstarted(self) -> list[ClaimedTask]:
        self._ready.clear()
        return [self._held.pop(task_id) for task_id in list(self._held) if task_id not in self._started]

    def _free(self, lease: Lease) -> None:
        """Free the slot of this attempt, but not that of a later attempt of the same task."""
        one = self._held.get(lease.task_id)
        if one is not None and one.lease == lease:
            del self._held[lease.task_id]
            self._started.discard(lease.task_id)

    def _wake_waiting(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, set()
        for call in wake:
            call()

    def _may_prefetch(self) -> bool:
        """Not while a long task runs: a short one would wait for it here while other workers are idle."""
        if self._is_closed or self._is_suspended or not self.prefetch_short:
            return False
        return all(self.durations.is_short(one.type) for one in self._held.values())
