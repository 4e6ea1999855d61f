"""The mail server, HTTP server and reaper behave as the tests that use them expect."""

from __future__ import annotations

import os
import signal
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

import httpx
import psutil
import pytest

from harness.http_server import HttpServer, Request, Response
from harness.reaper import MARKER_VARIABLE, kill_marked
from harness.smtp_server import SmtpServer
from harness.waiting import eventually


def send(server: SmtpServer) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", "Ünïcode"
    with smtplib.SMTP(server.host, server.port) as client:
        client.send_message(message)


def test_sent_mail_is_kept(smtp_server: SmtpServer) -> None:
    send(smtp_server)

    assert [message["Subject"] for message in smtp_server.messages] == ["Ünïcode"]
    assert [envelope.rcpt_tos for envelope in smtp_server.envelopes] == [["b@example.org"]]


def test_rejected_mail_is_not_kept(smtp_server: SmtpServer) -> None:
    smtp_server.reject_with("451 later")

    with pytest.raises(smtplib.SMTPDataError):
        send(smtp_server)

    assert smtp_server.messages == []


def test_route_responds_and_request_is_kept(http_server: HttpServer) -> None:
    url = http_server.on("POST", "/echo", lambda request: Response(201, request.body, {"X-Seen": "yes"}))

    response = httpx.post(f"{url}?a=1", content=b"hello", headers={"X-Sent": "1"})

    assert (response.status_code, response.content, response.headers["x-seen"]) == (201, b"hello", "yes")
    request: Request = http_server.requests[0]
    assert (request.query, request.headers["x-sent"]) == ("a=1", "1")


def test_request_without_a_route_gets_404(http_server: HttpServer) -> None:
    assert httpx.get(f"{http_server.url}/nothing").status_code == 404


def test_marked_process_is_killed_whatever_its_parent_and_session() -> None:
    mark = uuid4().hex
    script = "from subprocess import *; print(Popen(['sleep', '600'], stdout=DEVNULL, start_new_session=True).pid)"
    started = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {MARKER_VARIABLE: mark}, stdout=subprocess.PIPE, check=True
    )

    kill_marked(mark)

    assert not is_running(int(started.stdout))


def test_reaper_cleans_up_after_a_killed_session(tmp_path: Path) -> None:
    left = tmp_path / "left"
    left.mkdir()

    session = subprocess.run([sys.executable, "-c", SESSION, str(left)], stdout=subprocess.PIPE)

    assert session.returncode == -signal.SIGKILL
    assert eventually(lambda: not is_running(int(session.stdout)) and not left.exists())


SESSION = """
import os, signal, subprocess, sys, pathlib
from harness.reaper import Reaper
reaper = Reaper()
left = subprocess.Popen(["sleep", "600"], start_new_session=True, stdout=subprocess.DEVNULL)
reaper.watch_group(left.pid)
reaper.watch_directory(pathlib.Path(sys.argv[1]))
print(left.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
