"""An SMTP session that another thread can close, and whose user name and password may be any text."""

from __future__ import annotations

import base64
import hmac
import smtplib
import socket
import ssl
from typing import Any

from taskcore.plugins.network.sockets import SocketRegistry
from taskcore.settings import SmtpSettings

MAX_CHALLENGES = 5


class SmtpSession(smtplib.SMTP):
    """A session over a socket that can be closed from another thread. With `tls`, it uses TLS from the start."""

    def __init__(self, settings: SmtpSettings, sockets: SocketRegistry) -> None:
        self._sockets = sockets
        self._tls = tls_context(settings) if settings.tls == "tls" else None
        super().__init__(settings.host, settings.port, timeout=settings.timeout_s)

    def auth(self, mechanism: str, authobject: Any, *, initial_response_ok: bool = True) -> tuple[int, bytes]:
        """Log in as `smtplib` does, but with UTF-8 (RFC 4616) where that would quote a password that is not ASCII."""
        first = authobject() if initial_response_ok else None
        command = f"AUTH {mechanism}" if first is None else f"AUTH {mechanism} {_encode(first)}"
        self._auth_challenge_count = 0 if first is None else 1
        code, reply = self.docmd(command)
        while code == 334 and self._auth_challenge_count < MAX_CHALLENGES:
            self._auth_challenge_count += 1
            code, reply = self.docmd(_encode(authobject(base64.decodebytes(reply))))
        if code not in (235, 503):
            raise smtplib.SMTPAuthenticationError(code, reply)
        return code, reply

    def auth_cram_md5(self, challenge: Any = None) -> Any:
        if challenge is None:
            return None
        return f"{self.user} {hmac.new(_utf8(self.password), challenge, 'md5').hexdigest()}"

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connection = self._sockets.connect(host, port, timeout)
        return self._tls.wrap_socket(connection, server_hostname=host) if self._tls else connection


def tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=settings.ca_file)


def _encode(text: str) -> str:
    return base64.b64encode(_utf8(text)).decode()


def _utf8(text: str) -> bytes:
    """Return the bytes of `text`, which comes from an environment variable that may be no UTF-8."""
    return text.encode("utf-8", "surrogateescape")
