"""What a process holds: the tasks it claimed, and the slots it has for more.

A claimed task waits here until a thread takes it, so that a broken connection to the broker loses nothing. Slots are
the process's own back-pressure: the broker's is out of play, because a message is acknowledged before its task runs.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from taskcore.domain.tasks import ClaimedTask, Lease

SHORT_RUN_S = 0.05
MIN_SAMPLES = 16
DECAY = 0.98
VERY_SHORT_RUN_S = 0.002


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many tasks may be claimed: `any` of any type, and `short` more of types that have shown to be short."""

    general: int
    short_only: int

    def __bool__(self) -> bool:
        return self.total > 0

    @property
    def total(self) -> int:
        return self.general + self.short_only


class TypeDurations:
    """Which types are short: their runs have lately all ended within `SHORT_S`."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}

    def observe(self, type_: str, ran_s: float) -> None:
        runs, slowest = self._seen.get(type_, (0, 0.0))
        self._seen[type_] = (runs + 1, max(ran_s, slowest * DECAY))

    def is_short(self, type_: str) -> bool:
        runs, slowest = self._seen.get(type_, (0, 0.0))
        return runs >= MIN_SAMPLES and slowest < SHORT_RUN_S

    def is_very_short(self, type_: str) -> bool:
        """Its runs have lately all ended before another thread could have taken over."""
        runs, slowest = self._seen.get(type_, (0, 0.0))
        return runs >= MIN_SAMPLES and slowest < VERY_SHORT_RUN_S

    def short_types(self) -> list[str]:
        return [type_ for type_ in list(self._seen) if self.is_short(type_)]


class SlotPool:
    """Thread-safe. A task is admitted when claimed, started by a thread, ended by it, settled; until then it is held.

    A thread that has ended a task takes the next by itself. Tasks that are ready while threads are idle are for the
    consumers to hand on: they `call_thread`.
    """

    def __init__(self, *, threads: int, prefetch_short: int) -> None:
        self.threads = threads
        self.prefetch_short = prefetch_short
        self.durations = TypeDurations()
        self._lock = threading.Lock()
        self._reserved = 0
        self._held: dict[int, ClaimedTask] = {}  # what takes a slot
        self._ended: dict[Lease, ClaimedTask] = {}  # what does not, while its end is not written
        self._ready: dict[str, deque[ClaimedTask]] = {}
        self._started: set[int] = set()
        self._active = 0  # threads that were called and are not idle again
        self._taken_at = 0.0
        self._is_closed = False
        self._is_suspended = False
        self._wake: set[Callable[[], None]] = set()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def reserve(self, wanted: int, *, general_only: bool, wake: Callable[[], None]) -> Capacity:
        """Take up to `wanted` free slots; `only_any`: none that is for short types alone.

        Whoever gets some must `admit`, with fewer tasks or none if need be. Where none is free `wake` is called once,
        as soon as a slot is.
        """
        with self._lock:
            taken = self._reserved + len(self._held)
            any_ = 0 if self._is_closed or self._is_suspended else max(0, min(wanted, self.threads - taken))
            short = (
                min(wanted, self.threads + self.prefetch_short - taken) - any_
                if self._may_look_ahead(general_only)
                else 0
            )
            room = Capacity(any_, max(0, short))
            self._reserved += room.total
            if not room:
                self._wake.add(wake)
            return room

    def add_claimed(self, capacity: Capacity, claimed: Iterable[ClaimedTask]) -> list[ClaimedTask]:
        """Turn reserved slots into held tasks. Answers those that come too late, because the gate is closed."""
        with self._lock:
            self._reserved -= capacity.total
            if self._is_closed:
                return list(claimed)
            for one in claimed:
                self._held[one.lease.task_id] = one
                self._ready.setdefault(one.queue, deque()).append(one)
            return []

    def next_for_idle_thread(self, queue: str) -> ClaimedTask | None:
        """A claimed task of `queue` for an idle thread. None where none is ready, or where threads at work suffice.

        Instant tasks are left to one thread, as long as it gets on: handing each to another costs more than running it.
        """
        with self._lock:
            ready = self._ready.get(queue)
            if not ready or self._active >= self.threads:
                return None
            gets_on = time.monotonic() - self._taken_at < SHORT_RUN_S
            if self._active and gets_on and self.durations.is_very_short(ready[0].type):
                return None
            self._active += 1
            self._taken_at = time.monotonic()
            return ready.popleft()

    def start(self, task_id: int) -> ClaimedTask | None:
        """The task, for the thread that was called for it; None when it has been given back meanwhile."""
        with self._lock:
            if self._is_closed or task_id not in self._held:
                return None
            self._started.add(task_id)
            return self._held[task_id]

    def next_task(self) -> ClaimedTask | None:
        """The next task for a thread that has ended one; None: the thread is idle."""
        with self._lock:
            ready = min((tasks for tasks in self._ready.values() if tasks), key=_age, default=None)
            if ready is None:
                self._active -= 1
                return None
            self._taken_at = time.monotonic()
            one = ready.popleft()
            self._started.add(one.lease.task_id)
            return one

    def has_ready(self, queue: str) -> bool:
        """Whether claimed tasks of `queue` wait for a thread."""
        return bool(self._ready.get(queue))

    def finish(self, one: ClaimedTask) -> None:
        """The thread is done with the task. The slot of a short one is free; others keep theirs until `settled`."""
        if self.durations.is_short(one.type):
            with self._lock:
                self._ended[one.lease] = one
                self._free(one.lease)
            self._call_waiting()

    def release(self, leases: Iterable[Lease]) -> None:
        """The database knows of their ends: they are held no more, and their slots are free."""
        with self._lock:
            for lease in leases:
                self._ended.pop(lease, None)
                self._free(lease)
        self._call_waiting()

    def close(self) -> list[ClaimedTask]:
        """Close the gate: nothing is reserved or started any more. Answers what was claimed and not started."""
        with self._lock:
            self._is_closed = True
            unstarted = [task_id for task_id in self._held if task_id not in self._started]
            self._ready.clear()
            return [self._held.pop(task_id) for task_id in unstarted]

    def wait_until_idle(self, timeout_s: float) -> None:
        """Until every thread that was called is idle again, or the time is over."""
        until = time.monotonic() + timeout_s
        while self._active and time.monotonic() < until:
            time.sleep(0.01)

    def suspend(self) -> None:
        """Let go of what was not started, and reserve nothing until `resume`: somebody else may hold it all soon."""
        with self._lock:
            self._is_suspended = True
            self._ready.clear()
            for task_id in [task_id for task_id in self._held if task_id not in self._started]:
                del self._held[task_id]

    def resume(self) -> None:
        self._is_suspended = False
        self._call_waiting()

    def take_overdue(self, after_s: float) -> list[ClaimedTask]:
        """Take out what was claimed so long ago and has not started: what runs before it is not short any more."""
        now = time.monotonic()
        with self._lock:
            late = [one for tasks in self._ready.values() for one in tasks if now - one.claimed_at > after_s]
            for one in late:
                self._ready[one.queue].remove(one)
                del self._held[one.lease.task_id]
            slow = {self._held[task_id].type for task_id in self._started if task_id in self._held} if late else ()
        for type_ in slow:
            self.durations.observe(type_, after_s)
        if late:
            self._call_waiting()
        return late

    def remove_unstarted(self, task_id: int, attempt: int) -> ClaimedTask | None:
        """Take out an attempt that has not started, so that it never will; None where it has, or is not held."""
        with self._lock:
            one = self._held.get(task_id)
            if one is None or one.lease.attempt != attempt or task_id in self._started:
                return None
            ready = self._ready.get(one.queue)
            if ready is None or one not in ready:
                return None  # a thread has been called for it
            ready.remove(one)
            return self._held.pop(task_id)

    def snapshot(self) -> list[ClaimedTask]:
        """What was claimed and is not settled: what waits for a thread, what runs, and ends that are not written."""
        with self._lock:
            return [*self._held.values(), *self._ended.values()]

    def _free(self, lease: Lease) -> None:
        """The slot of this attempt; a later attempt of the same task keeps its own."""
        one = self._held.get(lease.task_id)
        if one is not None and one.lease == lease:
            del self._held[lease.task_id]
            self._started.discard(lease.task_id)

    def _call_waiting(self) -> None:
        with self._lock:
            wake, self._wake = self._wake, set()
        for call in wake:
            call()

    def _may_look_ahead(self, only_any: bool) -> bool:
        """Not behind a long task: a short one would wait for it here while other workers are free."""
        if only_any or self._is_closed or self._is_suspended or not self.prefetch_short:
            return False
        return all(self.durations.is_short(one.type) for one in self._held.values())


def _age(tasks: deque[ClaimedTask]) -> float:
    return tasks[0].claimed_at
