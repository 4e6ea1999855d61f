"""The cancellation token of an attempt.

Code that cooperates checks it, waits on it, or registers a callback. Code that only computes gets an exception, which
is raised in its thread from outside.

Such an exception can hit anywhere. So there is at most one per attempt, and none once the token is disarmed:

```mermaid
stateDiagram-v2
    [*] --> New
    New --> Armed: arm
    New --> Interrupted: interrupt
    Interrupted --> Raised: arm raises
    Armed --> Raised: interrupt, at the next bytecode
    Armed --> Shielded: enter shield
    Shielded --> Armed: exit shield
    Shielded --> Pending: interrupt
    Pending --> Raised: exit shield
    Armed --> Disarmed: disarm
    Raised --> Disarmed: disarm retracts what has not hit yet
    Interrupted --> Disarmed: disarm
    Disarmed --> [*]
```

`cause` is set by the first interrupt and stays.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable

from taskcore.plugins.cancellation_scopes import Callback, InterruptCallback, Shield
from taskcore.plugins.interrupts import INTERRUPTED, InterruptCause, Interrupted
from taskcore.plugins.thread_exceptions import is_thread_starting, raise_thread_exception, wait_for_starting_thread


class CancellationToken:
    """Thread-safe. The attempt's thread calls `arm` before the plugin's code and `disarm` after it.

    The exception may hit `disarm` itself. A second `disarm` then completes the first. `deadline` and
    `interrupted_at` are by the monotonic clock.
    """

    __slots__ = (
        "_callback_lock",
        "_callbacks",
        "_event",
        "_is_disarmed",
        "_is_raised",
        "_is_shielded",
        "_lock",
        "_on_pause",
        "_thread",
        "cause",
        "deadline",
        "interrupted_at",
        "is_pause_requested",
    )

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.cause: InterruptCause | None = None
        self.interrupted_at: float | None = None
        self.is_pause_requested = False
        # Reentrant, because the exception may hit the attempt's thread between taking the lock and releasing it.
        self._lock = threading.RLock()
        self._callback_lock = threading.RLock()  # held while callbacks run
        self._callbacks: list[InterruptCallback] = []
        self._event: threading.Event | None = None  # created by the first `wait`: most attempts never wait
        self._on_pause: Callback | None = None
        self._thread: int | None = None
        self._is_raised = False
        self._is_shielded = False
        self._is_disarmed = False

    def interrupt(self, cause: InterruptCause) -> bool:
        """Ask the attempt to stop. Return False if it has ended or was interrupted before."""
        with self._lock:
            if self.cause is not None or self._is_disarmed:
                return False
            self.cause, self.interrupted_at = cause, time.monotonic()
            if self._event is not None:
                self._event.set()
            self._raise()
            has_callbacks = bool(self._callbacks)
        if has_callbacks:  # they free a thread that waits in C, so that the exception reaches it, and may be slow
            _run_apart(self._run_callbacks)
        return True

    def on_interrupt(self, callback: Callback) -> InterruptCallback:
        """Return a context manager. An interrupt inside it calls `callback`, from another thread.

        After an interrupt it calls `callback` at once, from this thread. The context waits for a running callback
        before it is left, unless the exception hits just then, so do not reuse what was interrupted.
        """
        return InterruptCallback(callback, self._register, self._unregister)

    def shielded(self) -> Shield:
        """Return a context manager that the exception cannot hit, for work that must not be left half done.

        An interrupt inside it raises at its end. After an earlier exception, cleanup is not interrupted again.
        """
        return Shield(self._enter_shield, self._exit_shield)

    def request_pause(self) -> None:
        """Ask the attempt to pause. It is not interrupted: its plugin checks when it can."""
        with self._lock:
            self.is_pause_requested = True
            callback = self._on_pause
        if callback is not None:
            callback()

    def on_pause_requested(self, callback: Callback) -> None:
        """Call `callback` when a pause is requested, or now if it was requested before."""
        with self._lock:
            self._on_pause = callback
        if self.is_pause_requested:
            callback()

    def check(self) -> None:
        """Raise `Interrupted` if the attempt has to stop."""
        if self.cause is not None:
            raise self._as_exception(self.cause)

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`. Raise `Interrupted` as soon as the attempt has to stop."""
        with self._lock:
            if self._event is None:
                self._event = threading.Event()
            if self.cause is not None:
                self._event.set()
        self._event.wait(max(0.0, seconds))
        self.check()

    def arm(self) -> None:
        """Let interrupts raise `Interrupted` in the calling thread. Raise it now if there was one before."""
        with self._lock:
            self._thread = threading.get_ident()
        self.check()

    def disarm(self) -> InterruptCause | None:
        """Raise nothing from now on. Return the cause, which is final."""
        with self._lock:
            self._is_disarmed = True
            self._retract()
        return self.cause

    def _enter_shield(self) -> bool:
        """Return False if there is a shield already, or this is not the attempt's thread."""
        with self._lock:
            if self._is_shielded or self._thread != threading.get_ident():
                return False
            if self.cause is not None and not self._is_raised:
                raise self._as_exception(self.cause)
            self._is_shielded = True
        return True  # an exception that was raised just before hits here at the latest

    def _exit_shield(self) -> None:
        with self._lock:
            self._is_shielded = False
            self._raise()

    def _register(self, registration: InterruptCallback) -> bool:
        """Return False if the attempt was interrupted before."""
        with self._lock:
            if self.cause is None:
                self._callbacks.append(registration)
            return self.cause is None

    def _unregister(self, registration: InterruptCallback) -> None:
        with self._lock:
            if registration in self._callbacks:
                self._callbacks.remove(registration)
                return
        with self._callback_lock:  # wait for the callback, which must not outlive what it works on
            pass

    def _run_callbacks(self) -> None:
        with self._callback_lock:
            while (registration := self._next_callback()) is not None:
                registration.call()

    def _next_callback(self) -> InterruptCallback | None:
        with self._lock:
            return self._callbacks.pop() if self._callbacks else None

    def _raise(self) -> None:
        """Raise the exception in the attempt's thread, if it may be raised there now."""
        if not self._may_raise():
            return
        if is_thread_starting():
            _run_apart(self._raise_soon)
        else:
            self._raise_now()

    def _may_raise(self) -> bool:
        is_held_back = self._is_raised or self._is_shielded or self._is_disarmed
        return self.cause is not None and self._thread is not None and not is_held_back

    def _raise_soon(self) -> None:
        wait_for_starting_thread()
        with self._lock:
            if self._may_raise():
                self._raise_now()

    def _raise_now(self) -> None:
        assert self.cause is not None
        assert self._thread is not None
        self._is_raised = True
        raise_thread_exception(self._thread, INTERRUPTED[self.cause])

    def _as_exception(self, cause: InterruptCause) -> Interrupted:
        """Return the exception to raise here, instead of the one that is raised from outside."""
        with self._lock:
            if self._thread == threading.get_ident():
                self._retract()
                self._is_raised = True
        return INTERRUPTED[cause]()

    def _retract(self) -> None:
        """Retract the exception, if it has not hit yet."""
        if self._is_raised and self._thread is not None:
            raise_thread_exception(self._thread, None)


def _run_apart(function: Callable[[], None]) -> None:
    """Call `function` in a thread of its own, or here when the process cannot start one: it must happen anyway."""
    try:
        _thread.start_new_thread(function, ())
    except RuntimeError:
        function()
