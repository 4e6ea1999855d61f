"""What the HTTP server is started with."""

from __future__ import annotations

import resource
import socket

from taskapi.server import STALL_S, OwnListener, server_options
from taskcore.settings import ApiSettings


def test_connections_have_a_time_limit_for_reading_the_response() -> None:
    (held, _) = OwnListener(lambda *arguments: arguments[3], "127.0.0.1", 0)(1, "name", None, None)

    with socket.socket(fileno=held[1].get_fd()) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        with client, accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == STALL_S * 1_000


def test_connections_leave_files_for_the_process_itself() -> None:
    few, many = (server_options(ApiSettings(max_connections=most))["backpressure"] for most in (10, 60_000))

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert few == 10
    assert many <= soft - 256
