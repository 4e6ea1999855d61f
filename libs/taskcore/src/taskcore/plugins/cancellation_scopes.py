"""The context managers of a cancellation token.

They do without `contextlib`: an exception from outside could hit its generator before its `try` has begun.
"""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

import structlog

from taskcore.plugins.interrupts import Interrupted

Callback = Callable[[], object]

log = structlog.stdlib.get_logger(__name__)


class InterruptCallback:
    """Has `callback` called by an interrupt. `register` returns False when the interrupt has come before."""

    __slots__ = ("_callback", "_register", "_unregister")

    def __init__(
        self,
        callback: Callback,
        register: Callable[[InterruptCallback], bool],
        unregister: Callable[[InterruptCallback], None],
    ) -> None:
        self._callback = callback
        self._register = register
        self._unregister = unregister

    def __enter__(self) -> None:
        if not self._register(self):
            self.call()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        try:
            self._unregister(self)
        except Interrupted:  # which is raised once only
            self._unregister(self)
            raise

    def call(self) -> None:
        try:
            self._callback()
        except Exception:  # the caller has other attempts to interrupt, and the exception may still reach this one
            log.exception("interrupt.callback_failed")


class Shield:
    """Keeps interrupts away. `enter` returns False inside of another shield, and outside of the attempt's thread."""

    __slots__ = ("_enter", "_exit", "_is_outermost")

    def __init__(self, enter: Callable[[], bool], exit_: Callable[[], None]) -> None:
        self._enter = enter
        self._exit = exit_
        self._is_outermost = False

    def __enter__(self) -> None:
        self._is_outermost = self._enter()

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, at: TracebackType | None) -> None:
        if self._is_outermost:
            self._exit()
