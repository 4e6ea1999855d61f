"""How a process reaches RabbitMQ: one set of pika's connection parameters for each address."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, unquote

import pika

from taskcore.errors import InvalidSettings
from taskcore.settings import PREFIX, AmqpTlsSettings, Settings
from taskcore.settings.amqp import split_amqp_urls

HEARTBEAT_S = 10
BLOCKED_CONNECTION_TIMEOUT_S = 30
SOCKET_TIMEOUT_S = 5
#: For TCP, TLS and AMQP together.
CONNECT_TIMEOUT_S = 10


def connection_parameters(settings: Settings) -> list[pika.ConnectionParameters]:
    """Return parameters for each address of `amqp_url`.

    Raises:
        InvalidSettings: when a file of `amqp_tls` cannot be read or used.
    """
    addresses = split_amqp_urls(settings.amqp_url.get_secret_value())
    context = _tls_context(settings.amqp_tls) if any(address.scheme == "amqps" for address in addresses) else None
    return [_parameters(address, context) for address in addresses]


def shuffled(parameters: Sequence[pika.ConnectionParameters]) -> list[pika.ConnectionParameters]:
    """Return them in the order in which to try them: at random, so that connections spread over the nodes."""
    return random.sample(parameters, len(parameters))


def _parameters(address: SplitResult, context: ssl.SSLContext | None) -> pika.ConnectionParameters:
    is_tls = address.scheme == "amqps"
    given: dict[str, Any] = {} if address.port is None else {"port": address.port}
    if address.username is not None:
        user, password = unquote(address.username), unquote(address.password or "")
        given["credentials"] = pika.PlainCredentials(user, password)
    if address.path.strip("/"):
        given["virtual_host"] = unquote(address.path[1:])
    return pika.ConnectionParameters(
        host=address.hostname,
        ssl_options=pika.SSLOptions(context, address.hostname) if is_tls else None,
        heartbeat=HEARTBEAT_S,
        blocked_connection_timeout=BLOCKED_CONNECTION_TIMEOUT_S,
        socket_timeout=SOCKET_TIMEOUT_S,
        stack_timeout=CONNECT_TIMEOUT_S,
        **given,
    )


def _tls_context(tls: AmqpTlsSettings) -> ssl.SSLContext:
    with _named("CA_FILE"):
        context = ssl.create_default_context(cafile=tls.ca_file)
    if not tls.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if tls.certificate_file is not None:
        with _named("CERTIFICATE_FILE", *([] if tls.key_file is None else ["KEY_FILE"])):
            context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    return context


@contextmanager
def _named(*settings: str) -> Iterator[None]:
    """Name the settings whose files cannot be read or are not in PEM."""
    try:
        yield
    except (OSError, ValueError) as exc:  # among them ssl.SSLError
        names = " or ".join(f"{PREFIX}AMQP_TLS__{setting}" for setting in settings)
        raise InvalidSettings(f"{names}: cannot be used: {exc}") from exc
