"""A small HTTP server that silent or slow clients can neither fill up nor keep busy."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import BaseServer
from typing import Any

MAX_CONNECTIONS = 64

#: How often connections beyond their time are looked for, and `shutdown`.
_SWEEP_S = 0.2


@dataclass(slots=True, eq=False)
class _Connection:
    """`is_answered`: the request has been read, and the response is being made or sent."""

    socket: socket.socket
    accepted: float
    is_answered: bool = False


class BoundedHTTPServer(ThreadingHTTPServer):
    """Serves one request per connection, each on a thread of its own, on a socket that already listens.

    A connection beyond `MAX_CONNECTIONS` closes the one that has waited longest for its request. So a client that sends
    its request at once gets its response, however many others are silent. A client has `connection_s` for its request.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, handler: type[BaseHTTPRequestHandler], connection_s: float) -> None:
        BaseServer.__init__(self, listener.getsockname(), handler)
        self.socket = listener
        self._connection_s = connection_s
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, _Connection] = {}  # the oldest first

    def serve(self) -> None:
        """Serve until `shutdown`."""
        self.serve_forever(poll_interval=_SWEEP_S)

    def mark_answered(self, connection: socket.socket) -> None:
        """Keep the connection, whose request has been read, from being closed as a silent one."""
        with self._lock:
            if (known := self._connections.get(connection)) is not None:
                known.is_answered = True

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._admit(request):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Close the connections that have been waiting too long for their request."""
        before = time.monotonic() - self._connection_s
        with self._lock:
            for waiting in [one for one in self._connections.values() if one.accepted < before]:
                if not waiting.is_answered:
                    self._close(waiting)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing: clients come and go."""

    def _admit(self, connection: socket.socket) -> bool:
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS:
                silent = next((one for one in self._connections.values() if not one.is_answered), None)
                if silent is None:
                    return False
                self._close(silent)
            self._connections[connection] = _Connection(connection, time.monotonic())
            return True

    def _close(self, connection: _Connection) -> None:
        """End the connection: its thread, which waits for the request, sees the end of the stream."""
        del self._connections[connection.socket]
        with suppress(OSError):
            connection.socket.shutdown(socket.SHUT_RDWR)
