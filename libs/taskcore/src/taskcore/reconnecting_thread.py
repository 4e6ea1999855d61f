"""A thread that keeps one connection for as long as the process lives, and reconnects when it is lost."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod

import structlog

from taskcore.observability.outages import Outage

log = structlog.stdlib.get_logger(__name__)


class ReconnectingThread(ABC):
    """`name` names the thread and the log events of a lost connection: see `Outage`.

    A connection that was lost is replaced at once; after a failed attempt to connect comes `reconnect_delay_s`.
    """

    name: str
    reconnect_delay_s: float

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._outage = Outage(self.name)
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self.is_connected = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Close the connection soon, without waiting for it. The end of the process closes it, too."""
        self._stopping.set()

    @abstractmethod
    def _hold_connection(self) -> None:
        """Connect and keep the connection until `_stopping` is set. Raise when it is lost.

        Call `_report_connected` again and again meanwhile.
        """

    def _report_connected(self) -> None:
        self.is_connected = True
        self._outage.succeeded()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._hold_connection()
            except Exception as exc:  # reconnect whatever the error is: nothing else restarts this thread
                if not self._stopping.is_set():
                    self._outage.failed(exc)
            finally:
                was_connected, self.is_connected = self.is_connected, False
            if not was_connected:
                self._stopping.wait(self.reconnect_delay_s)
