"""Raise an exception in another thread, by CPython's own means."""

from __future__ import annotations

import ctypes
import sys
import threading
import time

START_TIMEOUT_S = 0.5

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int


def raise_thread_exception(thread: int, exception: type[BaseException] | None) -> None:
    """Raise `exception` in `thread` at its next bytecode. `None` retracts one that has not been raised yet."""
    _set_async_exc(thread, ctypes.py_object() if exception is None else ctypes.py_object(exception))


def is_thread_starting() -> bool:
    """Return whether some thread is about to start, before Python 3.12.

    There a starting thread has the id of the one that starts it. It would get the exception in its place, and the
    thread that starts it would wait for it for ever.
    """
    return sys.version_info < (3, 12) and bool(getattr(threading, "_limbo", None))


def wait_for_starting_thread() -> None:
    """Wait until no thread is starting, but not for ever: an interrupt of its starter may keep it from starting."""
    until = time.monotonic() + START_TIMEOUT_S
    while is_thread_starting() and time.monotonic() < until:
        time.sleep(0.001)
