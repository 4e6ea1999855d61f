"""Task types that wait stop at once when they are interrupted, and leave nothing running elsewhere."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from harness.waiting import eventually
from taskcore.plugins import InterruptCause, Interrupted, Plugin
from taskcore.testing import AttemptEnvironment
from taskworker.types.email.send_email import SendEmail
from taskworker.types.http.http_request import HttpRequest
from taskworker.types.query.run_query import RunQuery
from taskworker.types.sleep import Sleep
from tests.taskworker.types.databases import query
from tests.taskworker.types.environments import database_environment, loopback_environment, make_environment
from tests.taskworker.types.http_server import HttpServer, Reply
from tests.taskworker.types.smtp_server import Inbox

ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid != {me}"
MAIL = {"to": ["ada@example.org"], "subject": "Hello", "body": "Hi"}


def interrupted(
    plugin: type[Plugin[Any]], env: AttemptEnvironment, wait: Callable[[], object], **parameters: Any
) -> None:
    """Run the plugin, interrupt it after `wait` has returned, and expect it to stop."""

    def interrupt() -> None:
        wait()
        env.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(Interrupted):
        env.run(plugin, **parameters)
    thread.join()


@contextmanager
def silent_server() -> Iterator[tuple[int, threading.Event]]:
    """Accept one connection and send nothing. The event is set once the client has sent a byte."""
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            connection, _ = server.accept()
            kept.append(connection)
            connection.recv(1)
            connected.set()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], connected
        for connection in kept:
            connection.close()


def test_sleep_wakes() -> None:
    interrupted(Sleep, make_environment(), lambda: None, seconds=600)


def test_query_is_cancelled_in_the_database(empty_database_url: str) -> None:
    def is_running() -> bool:
        return bool(query(empty_database_url, ACTIVE.format(me="pg_backend_pid()"))[0][0])

    interrupted(
        RunQuery,
        database_environment(empty_database_url),
        lambda: eventually(is_running),
        query="SELECT pg_sleep(600)",
    )

    eventually(lambda: not is_running())


def test_request_that_waits_for_a_response_is_closed(site: HttpServer) -> None:
    asked = threading.Event()

    def stall(write: Callable[[bytes], object]) -> None:
        asked.set()
        site.closing.wait(60)

    site.replies["/slow"] = Reply(stream=stall)

    interrupted(HttpRequest, loopback_environment(), lambda: asked.wait(60), url=f"{site.url}/slow")


def test_request_in_its_tls_handshake_is_closed() -> None:
    with silent_server() as (port, connected):
        interrupted(
            HttpRequest,
            loopback_environment(),
            lambda: connected.wait(60),
            url=f"https://127.0.0.1:{port}",
            timeout_s=600,
        )


def test_request_that_connects_is_closed() -> None:
    with full_server() as (port, is_connecting):
        interrupted(
            HttpRequest,
            loopback_environment(),
            lambda: eventually(is_connecting),
            url=f"http://127.0.0.1:{port}",
            timeout_s=600,
        )


@contextmanager
def full_server() -> Iterator[tuple[int, Callable[[], bool]]]:
    """Listen with a full backlog, so that clients wait while they connect. Return whether one does."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        first = socket.create_connection(("127.0.0.1", port))
        local = f":{port:04X} "

        def is_connecting() -> bool:
            with open("/proc/net/tcp") as table:
                return any(local in line and line.split()[3] == "02" for line in table)

        yield port, is_connecting
        first.close()


def test_silent_mail_server_is_left() -> None:
    with silent_mail_server() as (port, connected):
        env = make_environment(smtp={"host": "127.0.0.1", "port": port, "timeout_s": 600})

        interrupted(SendEmail, env, lambda: connected.wait(60), **MAIL)


@contextmanager
def silent_mail_server() -> Iterator[tuple[int, threading.Event]]:
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            kept.append(server.accept()[0])
            connected.set()

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], connected
        for connection in kept:
            connection.close()


def test_attempt_interrupted_before_its_start_does_nothing(inbox: Inbox) -> None:
    env = make_environment(smtp={"host": "127.0.0.1", "port": inbox.port})
    env.interrupt(InterruptCause.SHUTDOWN)

    with pytest.raises(Interrupted):
        env.run(SendEmail, **MAIL)

    assert inbox.envelopes == []
