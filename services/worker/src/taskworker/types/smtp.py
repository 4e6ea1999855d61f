"""The SMTP side of `send_email`: a session with the server, and what its refusals mean."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from email.message import EmailMessage

from taskcore.settings import SmtpSettings
from taskworker.types.email_message import sender_address

Reply = tuple[int, bytes]


def send(settings: SmtpSettings, message: EmailMessage, recipients: Sequence[str]) -> Mapping[str, Reply]:
    """Send `message`. Returns the recipients that the server refused, while it took the message for the others.

    Raises:
        smtplib.SMTPException: when the server took it for nobody; `is_permanent` says what another attempt is worth.
        OSError: when there is no (trustworthy) server to talk to.
    """
    with _session(settings) as session:
        return session.send_message(message, sender_address(str(message["From"])), list(recipients))


def is_permanent(exc: smtplib.SMTPException) -> bool:
    """Whether the same again would end the same: a 5xx reply (RFC 5321, 4.2.1), or something the server cannot do."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        return all(code >= 500 for code, _ in exc.recipients.values())
    if isinstance(exc, smtplib.SMTPResponseException):
        return exc.smtp_code >= 500
    return isinstance(exc, smtplib.SMTPNotSupportedError)


def describe(exc: smtplib.SMTPException) -> str:
    """What the server said, as one line."""
    if isinstance(exc, smtplib.SMTPRecipientsRefused):
        refusals = "; ".join(f"{address}: {reply_text(reply)}" for address, reply in exc.recipients.items())
        return f"every recipient was refused: {refusals}"
    if isinstance(exc, smtplib.SMTPResponseException):
        return f"the SMTP server refused: {reply_text((exc.smtp_code, exc.smtp_error))}"
    return str(exc)


def reply_text(reply: tuple[int, bytes | str]) -> str:
    """`550 no such user` of a reply's code and text."""
    code, text = reply
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {' '.join(words.split())}"


@contextmanager
def _session(settings: SmtpSettings) -> Iterator[smtplib.SMTP]:
    session = _connect(settings)
    try:
        if settings.tls == "starttls":
            session.starttls(context=_trust(settings))
        if settings.username is not None:
            session.login(settings.username, settings.password.get_secret_value() if settings.password else "")
        yield session
    finally:
        # The message has been taken by now: a server that fumbles the goodbye must not have it sent again.
        with suppress(smtplib.SMTPException, OSError):
            session.quit()
        session.close()


def _connect(settings: SmtpSettings) -> smtplib.SMTP:
    if settings.tls == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout_s, context=_trust(settings))
    return smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout_s)


def _trust(settings: SmtpSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)
