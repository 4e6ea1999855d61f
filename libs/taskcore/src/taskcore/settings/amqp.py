"""Settings of the connection to RabbitMQ: the addresses of its nodes, and TLS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, SecretStr, model_validator

from taskcore.settings.field_types import Section

#: A comma between two addresses; one inside a password does not count.
_SEPARATOR = re.compile(r"\s*,\s*(?=amqps?:)", re.IGNORECASE)
_SCHEMES = ("amqp", "amqps")
_HOST = re.compile(r"[\w.:%-]+")


def split_amqp_urls(urls: str) -> list[SplitResult]:
    """Return the addresses in `urls`, which are separated by commas.

    Raises:
        ValueError: with what is wrong. The message does not repeat the addresses, since they hold a password.
    """
    return [_split(url) for url in _SEPARATOR.split(urls.strip())]


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its text repeats the address
        raise ValueError("is no address: host and port must look like host:5672 or [::1]:5672") from None
    if parts.scheme not in _SCHEMES or not _HOST.fullmatch(host or ""):
        raise ValueError("must look like amqp://user:password@host:5672/vhost, or amqps://… for TLS")
    if port == 0:
        raise ValueError("has the port 0")
    if parts.query or parts.fragment:
        raise ValueError("takes no parameters after ? or #: TLS is set by TASKCORE_AMQP_TLS__…")
    if parts.username is not None and not parts.password:
        raise ValueError("has a user without a password")
    if "/" in parts.path[1:]:
        raise ValueError("has more than one / in its virtual host: write it as %2F")
    return parts


def _check_urls(urls: SecretStr) -> SecretStr:
    split_amqp_urls(urls.get_secret_value())
    return urls


AmqpUrls = Annotated[SecretStr, AfterValidator(_check_urls)]


class AmqpTlsSettings(Section):
    """TLS to RabbitMQ, for addresses that begin with `amqps://`."""

    ca_file: Path | None = None
    """Certificate authorities (PEM) to verify the nodes with, instead of the system's."""
    verify: bool = True
    """Whether to verify the certificates of the nodes, and that their names are those in the addresses. Without it,
    a program in between can read and change everything.
    """
    certificate_file: Path | None = None
    """Certificate (PEM) by which RabbitMQ can verify this client, followed by those that lead to its authority."""
    key_file: Path | None = None
    """Private key (PEM) of that certificate, if it is not in the same file."""

    @model_validator(mode="after")
    def check_key(self) -> Self:
        """Refuse a key that belongs to no certificate."""
        if self.key_file is not None and self.certificate_file is None:
            raise ValueError("key_file needs certificate_file")
        return self
