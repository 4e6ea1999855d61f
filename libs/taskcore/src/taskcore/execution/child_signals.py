"""The signals of processes that plugins in threads start: by default they end on SIGTERM and SIGINT, as anywhere else.

A forked child inherits the signal handlers of its parent, and the descriptor that wakes the parent's event loop: a
SIGTERM for the child would reach the parent. An executed program inherits only which signals are ignored.
"""

from __future__ import annotations

import os
import signal
import threading
from functools import cache
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_blocked = threading.local()


def ignore_stop_signals() -> None:
    """Ignore SIGTERM and SIGINT in this process, but not in the processes that it starts."""
    for number in STOP_SIGNALS:
        signal.signal(number, do_nothing)  # not SIG_IGN, which executed programs inherit
    reset_signals_in_forks()


def do_nothing(_number: int, _frame: FrameType | None) -> None:
    """A signal handler."""


@cache
def reset_signals_in_forks() -> None:
    """Give forks of this process the default handlers, before any of these signals can reach one."""
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset)


def _block() -> None:
    _blocked.before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _blocked.before)


def _reset() -> None:
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _unblock()
