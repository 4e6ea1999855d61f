"""The HTTP server: Granian with bounded connections, which drains before it stops.

When asked to stop, it fails `/readyz`, sends `Connection: close` and keeps serving for the drain time, so that load
balancers and clients can turn to another server. A second signal, or Ctrl-C, ends the drain.

Every connection has deadlines: for the head of the next request (`api.idle_timeout_s`), for its body
(`taskapi.middleware.bodies`), and for reading the response (`STALL_S`).
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import structlog
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.mp import MPServer

from taskcore.settings import ApiSettings, Settings
from taskcore.sockets import listen

#: Tells a server process that the server drains.
DRAIN_SIGNAL = signal.SIGUSR1
#: A client that takes nothing of its response for so long is disconnected.
STALL_S = 60
BACKLOG = 4_096

#: Files of a process that are no connections of clients.
_OWN_FILES = 256
_MAX_FILES = 65_536

log = structlog.stdlib.get_logger(__name__)


def server_options(settings: ApiSettings) -> dict[str, Any]:
    """Return the options of Granian's servers. HTTP/1.1 only: for others it has no deadline for a silent connection."""
    return {
        "interface": Interfaces.ASGI,
        "port": 0,  # `OwnListener` listens
        "http": HTTPModes.http1,
        "websockets": False,
        "backlog": BACKLOG,
        "backpressure": min(settings.max_connections, max(1, _raise_file_limit() - _OWN_FILES)),
        "http1_settings": HTTP1Settings(header_read_timeout=int(settings.idle_timeout_s * 1_000)),
    }


@dataclass(frozen=True)
class OwnListener:
    """Starts one of Granian's workers, with `spawn`, on a socket of ours: on both families, with a stall time."""

    spawn: Callable[..., Any]
    host: str
    port: int
    is_nested: bool = True

    def __call__(self, worker_id: int, name: Any, load: Any, _socket: Any, *rest: Any) -> Any:
        """`is_nested`: the server passes its sockets with a third one, which only Windows uses."""
        listener = listen(self.host, self.port, "api", is_shared=True, backlog=BACKLOG)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # connections inherit it
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_S * 1_000)
        held = (None, SocketHolder(listener.detach(), False, BACKLOG))  # type: ignore[call-arg]
        return self.spawn(worker_id, name, load, (held, None) if self.is_nested else held, *rest)


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
        """Drain, unless a server process has ended by itself: it has logged why, and there is nothing left to drain."""
        has_failed = bool(exit_code or self.interrupt_children)
        if self._drain_s and not has_failed and not self._skip_drain.is_set():
            log.info("api.draining", drain_s=self._drain_s)
            for worker in self.wrks:
                with suppress(ProcessLookupError):
                    os.kill(worker.inner.pid, DRAIN_SIGNAL)
            self._skip_drain.wait(self._drain_s)
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]


def require_free_ports(settings: Settings) -> None:
    """Raise `TaskcoreError` when a port is taken: it would be shared, and two APIs would serve alternate requests."""
    with ExitStack() as listening:
        listening.enter_context(listen(settings.api.host, settings.api.port, "api"))
        if settings.health.port:
            listening.enter_context(listen(settings.health.host, settings.health.port, "health"))


def _raise_file_limit() -> int:
    """Let the process open as many files as it may, within reason. Return how many these are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(soft, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
