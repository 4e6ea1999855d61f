"""Raising an exception in another thread, by the interpreter's own means."""

from __future__ import annotations

import ctypes
import sys
import threading

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int


def raise_thread_exception(thread: int, exception: type[BaseException] | None) -> None:
    """Raise in `thread` at its next bytecode; None: withdraw what has not been raised yet."""
    _set_async_exc(thread, ctypes.py_object() if exception is None else ctypes.py_object(exception))


def is_thread_starting() -> bool:
    """Before Python 3.12 a thread that is about to start bears the id of the one that starts it.

    It would be hit in its place, and whoever starts it would wait for it for ever.
    """
    return sys.version_info < (3, 12) and bool(getattr(threading, "_limbo", None))
