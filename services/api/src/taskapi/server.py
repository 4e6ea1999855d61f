"""The HTTP server: Granian, which drains before it stops.

When asked to stop, it fails `/readyz`, sends `Connection: close` and keeps serving for the drain time, so that load
balancers and clients can turn to another server. A second signal, or Ctrl-C, ends the drain.
"""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import structlog
from granian.server.mp import MPServer

#: Tells a server process that the server drains.
DRAIN_SIGNAL = signal.SIGUSR1

log = structlog.stdlib.get_logger(__name__)


class DrainingServer(MPServer):
    def __init__(self, *arguments: Any, drain_s: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._drain_s = drain_s
        self._skip_drain = threading.Event()

    def signal_handler_interrupt(self, *arguments: Any, **options: Any) -> None:
        if self.interrupt_signal or signal.SIGINT in arguments:
            self._skip_drain.set()
        super().signal_handler_interrupt(*arguments, **options)  # type: ignore[no-untyped-call]

    def shutdown(self, exit_code: int = 0) -> None:
        if self._drain_s and not exit_code and not self._skip_drain.is_set():
            log.info("api.draining", drain_s=self._drain_s)
            for worker in self.wrks:
                os.kill(worker.inner.pid, DRAIN_SIGNAL)
            self._skip_drain.wait(self._drain_s)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]
