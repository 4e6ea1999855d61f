"""An SMTP server on this machine that records what it accepts and sends scripted refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from harness.ports import free_port

CHALLENGE = "<1.2@localhost>"


class SMTPWithBrokenQuit(SMTP):
    """Accepts messages, but answers QUIT with an error."""

    async def smtp_QUIT(self, arg: str) -> None:
        await self.push("500 what?")


class SMTPWithChallenge(SMTP):
    """Knows CRAM-MD5 too, and takes any password."""

    async def auth_CRAM__MD5(self, _server: SMTP, _arguments: list[str]) -> AuthResult:
        response = await self.challenge_auth(CHALLENGE)
        user, _, digest = bytes(response).rpartition(b" ")  # type: ignore[arg-type]  # or MISSING, which fails here
        self.event_handler.logins.append((user, digest))
        return AuthResult(success=True)


@dataclass
class Inbox:
    """The accepted messages. `refusals` maps recipients to replies; `data_reply` is the reply to a message."""

    port: int
    refusals: dict[str, str] = field(default_factory=dict)
    data_reply: str = "250 OK"
    envelopes: list[Envelope] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data_reply.startswith("250"):
            self.envelopes.append(envelope)
        return self.data_reply

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)


class _Controller(Controller):
    def __init__(self, inbox: Inbox, protocol: type[SMTP], **options: Any) -> None:
        super().__init__(inbox, hostname="127.0.0.1", port=inbox.port, **options)
        self._protocol = protocol

    def factory(self) -> SMTP:
        return self._protocol(self.handler, **self.SMTP_kwargs)


@contextmanager
def smtp_server(protocol: type[SMTP] = SMTP, **options: Any) -> Iterator[Inbox]:
    inbox = Inbox(free_port())
    if options.pop("login", False):
        options |= {"authenticator": inbox.authenticate, "auth_required": True}
    controller = _Controller(inbox, protocol, **options)
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()


StartInbox = Callable[..., Inbox]


@pytest.fixture
def start_inbox() -> Iterator[StartInbox]:
    """Return a function that starts a server with the options of aiosmtpd's SMTP; `login=True` requires a login."""
    with ExitStack() as stack:

        def start(protocol: type[SMTP] = SMTP, **options: Any) -> Inbox:
            return stack.enter_context(smtp_server(protocol, **options))

        yield start


@pytest.fixture
def inbox(start_inbox: StartInbox) -> Inbox:
    return start_inbox()
