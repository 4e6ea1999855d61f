"""A real mail server on the loopback interface that keeps the messages it receives."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from harness.ports import free_port

ACCEPTED = "250 OK"


class SmtpServer:
    """`messages[i]` arrived in `envelopes[i]`; both are in order of arrival."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.reply = ACCEPTED
        self._controller = Controller(self, hostname="127.0.0.1", port=free_port())

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def reject_with(self, reply: str) -> None:
        """Reject messages with this reply, such as "451 later", from now on."""
        self.reply = reply

    def accept(self) -> None:
        self.reply = ACCEPTED

    def start(self) -> None:
        self._controller.start()

    def stop(self) -> None:
        """Stop listening. `start` opens the same port again."""
        self._controller.stop(no_assert=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        if self.reply == ACCEPTED:
            content: Any = envelope.content
            self.messages.append(message_from_bytes(content, policy=policy.default))
            self.envelopes.append(envelope)
        return self.reply


@pytest.fixture
def smtp_server() -> Iterator[SmtpServer]:
    server = SmtpServer()
    server.start()
    yield server
    server.stop()
