"""What a process does while it can start no thread, and afterwards. Prints that to stderr.

In a process of its own: before Python 3.12, no exception reaches a thread any more that failed to start another one.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from uuid import uuid4

from dramatiq.worker import Worker

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.execution.running_attempts import RunningAttempts
from taskcore.messaging.brokers import MemoryBroker
from taskcore.messaging.replacement_threads import ReplacementThreads
from taskcore.plugins.cancellation import CancellationToken
from taskcore.plugins.interrupts import InterruptCause, Interrupted

#: Larger than the address space.
IMPOSSIBLE_STACK_SIZE = 2**47


@contextmanager
def no_thread_starts() -> Iterator[None]:
    """Let each start of a thread fail, as on a machine that has no more of them."""
    usual = threading.stack_size(IMPOSSIBLE_STACK_SIZE)
    try:
        yield
    finally:
        threading.stack_size(usual)


def call_back() -> None:
    token, called = CancellationToken(), threading.Event()
    with token.on_interrupt(called.set), no_thread_starts():
        token.interrupt(InterruptCause.CANCEL)
        print("called back:", called.is_set(), file=sys.stderr)


def keep_timeouts() -> None:
    running = RunningAttempts()
    with no_thread_starts(), suppress(RuntimeError):
        running.start(claimed(timeout_s=600))
    print("left:", len(running.attempts()), file=sys.stderr)
    try:
        running.start(claimed(timeout_s=0.05)).cancellation.wait(30)
    except Interrupted as exc:
        print("later:", exc.cause, file=sys.stderr)


def replace_threads() -> None:
    worker = Worker(MemoryBroker(), worker_threads=1)
    threads = ReplacementThreads(worker)
    with no_thread_starts():
        threads.replace(2)
        before = len(worker.workers)
    threads.replace(0)
    print("threads:", before, len(worker.workers), file=sys.stderr)


def claimed(timeout_s: float) -> ClaimedTask:
    lease = Lease(1, 1, uuid4())
    return ClaimedTask(lease, "t", "noop", "default", {}, 0, 4, time.monotonic(), timeout_s=timeout_s)


if __name__ == "__main__":
    call_back()
    keep_timeouts()
    replace_threads()
