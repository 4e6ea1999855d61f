"""One attempt's stop signal: who works on it may ask, wait or be called; who only computes gets an exception.

An exception raised in another thread can hit anywhere. So there is never more than one an attempt, and none once the
attempt has closed its signal.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import ClassVar

import structlog

from taskcore.plugins.thread_exceptions import is_thread_starting, raise_thread_exception

log = structlog.stdlib.get_logger(__name__)

Callback = Callable[[], object]
THREAD_START_TIMEOUT_S = 0.5


class InterruptCause(StrEnum):
    """Why an attempt is to stop."""

    CANCEL = "cancel"  # somebody does not want its task any more
    TIMEOUT = "timeout"  # it took too long
    FENCE = "fence"  # its lease is over: somebody else may hold the task
    SHUTDOWN = "shutdown"  # its worker stops


class Interrupted(BaseException):
    """Raised in an attempt that is to stop. Not an `Exception`: a plugin that catches those does not mean this one."""

    cause: ClassVar[InterruptCause]


#: What is raised in another thread must be a class: one for each cause.
_INTERRUPTED: dict[InterruptCause, type[Interrupted]] = {
    cause: type("Interrupted", (Interrupted,), {"cause": cause}) for cause in InterruptCause
}


class CancellationToken:
    """Thread-safe. The attempt's thread calls `open` before the plugin's code, and `close` behind it.

    `close` itself may be hit by the exception, which comes once: a second `close` then finishes what the first began.
    `deadline` is of the monotonic clock.
    """

    __slots__ = (
        "_callback_lock",
        "_callbacks",
        "_event",
        "_is_closed",
        "_is_raised",
        "_is_shielded",
        "_lock",
        "_on_pause",
        "_thread",
        "cause",
        "deadline",
        "is_pause_requested",
    )

    def __init__(self, deadline: float | None = None) -> None:
        self.deadline = deadline
        self.cause: InterruptCause | None = None
        self.is_pause_requested = False
        # Reentrant, because the exception may hit the attempt's thread between taking the lock and its release.
        self._lock = threading.RLock()
        self._callback_lock = threading.RLock()  # held while callbacks run
        self._callbacks: list[_Registration] = []
        self._event: threading.Event | None = None  # made when somebody waits: most attempts never do
        self._on_pause: Callback | None = None
        self._thread: int | None = None
        self._is_raised = False
        self._is_shielded = False
        self._is_closed = False

    def interrupt(self, cause: InterruptCause) -> bool:
        """Tell the attempt to stop: the first cause counts. False: it is over, or was told before."""
        with self._lock:
            if self.cause is not None or self._is_closed:
                return False
            self.cause = cause
            if self._event is not None:
                self._event.set()
            self._raise()
            has_callbacks = bool(self._callbacks)
        if has_callbacks:  # they free a thread that waits in C, for the exception to reach it; they may take their time
            _thread.start_new_thread(self._call_back, ())
        return True

    def on_interrupt(self, callback: Callback) -> _Registration:
        """A context in which `callback` is called, from another thread, when the attempt is told to stop.

        At once, from this one, where it has been told already. The context is not left while the callback runs, unless
        the exception hits just then: what was interrupted should be thrown away, not used again.
        """
        return _Registration(self, callback)

    def shielded(self) -> _Shield:
        """A context in which the exception cannot hit the attempt's thread, for what must not be left half done.

        What comes within is raised behind. Where it had been raised before, the attempt is cleaning up, and may.
        """
        return _Shield(self)

    def request_pause(self) -> None:
        """Tell the attempt that it should pause. It is not interrupted: its plugin looks when it can."""
        with self._lock:
            self.is_pause_requested = True
            callback = self._on_pause
        if callback is not None:
            callback()

    def on_pause_requested(self, callback: Callback) -> None:
        """Have `callback` called when the attempt should pause; at once, where it should already."""
        with self._lock:
            self._on_pause = callback
        if self.is_pause_requested:
            callback()

    def check(self) -> None:
        """Raise `Interrupted` where the attempt was told to stop."""
        if self.cause is not None:
            raise self._as_exception(self.cause)

    def wait(self, seconds: float) -> None:
        """Sleep for `seconds`. Raises `Interrupted` as soon as the attempt is told to stop."""
        with self._lock:
            if self._event is None:
                self._event = threading.Event()
            if self.cause is not None:
                self._event.set()
        self._event.wait(max(0.0, seconds))
        self.check()

    def arm(self) -> None:
        """From now on `Interrupted` is raised in the calling thread. At once, where the attempt was told already."""
        with self._lock:
            self._thread = threading.get_ident()
        self.check()

    def disarm(self) -> InterruptCause | None:
        """From now on nothing is raised, and the cause is what it is."""
        with self._lock:
            self._is_closed = True
            self._retract()
        return self.cause

    def _call_back(self) -> None:
        with self._callback_lock:
            while (registration := self._next()) is not None:
                registration.call()

    def _next(self) -> _Registration | None:
        with self._lock:
            return self._callbacks.pop() if self._callbacks else None

    def _raise(self) -> None:
        """Raise it in the attempt's thread: once, and not where it may not be."""
        if not self._may_raise():
            return
        if is_thread_starting():
            _thread.start_new_thread(self._raise_soon, ())
        else:
            self._raise_now()

    def _may_raise(self) -> bool:
        is_held_back = self._is_raised or self._is_shielded or self._is_closed
        return self.cause is not None and self._thread is not None and not is_held_back

    def _raise_soon(self) -> None:
        """A thread that takes longer to start never will: what was starting it was interrupted itself."""
        until = time.monotonic() + THREAD_START_TIMEOUT_S
        while is_thread_starting() and time.monotonic() < until:
            time.sleep(0.001)
        with self._lock:
            if self._may_raise():
                self._raise_now()

    def _raise_now(self) -> None:
        assert self.cause is not None
        assert self._thread is not None
        self._is_raised = True
        raise_thread_exception(self._thread, _INTERRUPTED[self.cause])

    def _as_exception(self, cause: InterruptCause) -> Interrupted:
        """The exception to raise here, in place of the one that is raised from outside."""
        with self._lock:
            if self._thread == threading.get_ident():
                self._retract()
                self._is_raised = True
        return _INTERRUPTED[cause]()

    def _retract(self) -> None:
        """Take back the exception, if it has not hit yet."""
        if self._is_raised and self._thread is not None:
            raise_thread_exception(self._thread, None)

    def enter_shield(self) -> bool:
        """False: it is up already, or this is not the attempt's thread."""
        with self._lock:
            if self._is_shielded or self._thread != threading.get_ident():
                return False
            if self.cause is not None and not self._is_raised:
                raise self._as_exception(self.cause)
            self._is_shielded = True
        return True  # an exception that was raised shortly before has hit by now: here, at the latest

    def exit_shield(self) -> None:
        with self._lock:
            self._is_shielded = False
            self._raise()

    def register(self, registration: _Registration) -> bool:
        """False: the attempt was told already."""
        with self._lock:
            if self.cause is None:
                self._callbacks.append(registration)
            return self.cause is None

    def unregister(self, registration: _Registration) -> None:
        with self._lock:
            if registration in self._callbacks:
                self._callbacks.remove(registration)
                return
        with self._callback_lock:  # it has been called, or is being called: what it works on must not be gone meanwhile
            pass


class _Registration:
    """Made without `contextlib`, whose generator the exception could hit before it is inside of its `try`."""

    __slots__ = ("_callback", "_token")

    def __init__(self, interruption: CancellationToken, callback: Callback) -> None:
        self._token = interruption
        self._callback = callback

    def __enter__(self) -> None:
        if not self._token.register(self):
            self.call()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._token.unregister(self)
        except Interrupted:  # it comes once
            self._token.unregister(self)
            raise

    def call(self) -> None:
        try:
            self._callback()
        except Exception:  # whoever interrupts has others to tell, and the exception may still reach the attempt
            log.exception("interrupt.callback_failed")


class _Shield:
    """Made without `contextlib`, as `_Registration` is."""

    __slots__ = ("_is_outermost", "_token")

    def __init__(self, interruption: CancellationToken) -> None:
        self._token = interruption
        self._is_outermost = False

    def __enter__(self) -> None:
        self._is_outermost = self._token.enter_shield()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if self._is_outermost:
            self._token.exit_shield()
