"""SMTP sessions for `send_email`, and the classification of their errors."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage

from taskcore.plugins.network.sockets import SocketRegistry
from taskcore.settings import SmtpSettings
from taskworker.types.email.message import sender_address
from taskworker.types.email.session import SmtpSession, tls_context

Reply = tuple[int, bytes]


def send(
    settings: SmtpSettings, message: EmailMessage, recipients: Sequence[str], sockets: SocketRegistry
) -> Mapping[str, Reply]:
    """Send `message` over a connection that `sockets` can close. Return the refused recipients with their replies.

    Raises:
        smtplib.SMTPException: if the server accepted no recipient. See `is_permanent`.
        OSError: if the server cannot be reached, or its certificate is not trusted.
    """
    with _session(settings, sockets) as session:
        return session.send_message(message, sender_address(str(message["From"])), list(recipients))


def is_permanent(exc: smtplib.SMTPException | OSError) -> bool:
    """Return whether a retry would fail too: after a 5xx reply (RFC 5321, 4.2.1), or if a feature is not supported."""
    if replies := _replies(exc):
        return all(code >= 500 for code, _ in replies)
    return isinstance(exc, smtplib.SMTPNotSupportedError)


def describe_error(exc: smtplib.SMTPException | OSError) -> str:
    """Return the server's reply as one line."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        refusals = "; ".join(f"{address}: {format_reply(reply)}" for address, reply in exc.recipients.items())
        return f"every recipient was refused: {refusals}"
    replies = _replies(exc)
    return f"the SMTP server refused: {format_reply(replies[0])}" if replies else str(exc)


def error_type(exc: BaseException) -> str:
    """Return the code of the server's first reply, or the name of the exception's class."""
    replies = _replies(exc)
    return str(replies[0][0]) if replies else type(exc).__name__


def format_reply(reply: tuple[int, bytes | str]) -> str:
    """Format a reply's code and text as in `550 no such user`."""
    code, text = reply
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"


def _replies(exc: BaseException) -> list[tuple[int, bytes | str]]:
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return list(exc.recipients.values())
    return [(exc.smtp_code, exc.smtp_error)] if isinstance(exc, smtplib.SMTPResponseException) else []


@contextmanager
def _session(settings: SmtpSettings, sockets: SocketRegistry) -> Iterator[smtplib.SMTP]:
    session = SmtpSession(settings, sockets)
    try:
        if settings.tls == "starttls":
            session.starttls(context=tls_context(settings))
        if settings.username is not None:
            session.login(settings.username, settings.password.get_secret_value() if settings.password else "")
        yield session
    finally:
        # The server has accepted the message: an error in QUIT must not cause a retry.
        with suppress(smtplib.SMTPException, OSError):
            session.quit()
        session.close()
