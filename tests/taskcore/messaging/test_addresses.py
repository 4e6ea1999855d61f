"""Reaching RabbitMQ: several nodes, and TLS."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from pydantic import SecretStr

from harness.ports import free_port
from harness.waiting import eventually
from taskcore.errors import InvalidSettings
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.presence import Presence
from taskcore.messaging.publisher import RabbitPublisher
from taskcore.settings import AmqpTlsSettings, Settings
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.messaging.tls_proxy import tls_proxy
from tests.taskcore.messaging.worker_harness import RabbitHarness

NODES_DOWN = 9


def with_nodes_that_are_down(amqp_url: str) -> str:
    parts = urlsplit(amqp_url)
    down = [parts._replace(netloc=f"guest:guest@127.0.0.1:{free_port()}").geturl() for _ in range(NODES_DOWN)]
    return ",".join([*down, amqp_url])


async def test_tasks_run_over_the_only_node_that_is_up(db: DatabaseHarness, amqp_url: str) -> None:
    harness = RabbitHarness(db, with_nodes_that_are_down(amqp_url), "quorum")
    harness.start_service()

    await harness.submit(3)

    await harness.until(lambda: harness.count("succeeded") == 3)
    await harness.close()


def test_presence_is_kept_on_the_only_node_that_is_up(amqp_url: str) -> None:
    settings = Settings(amqp_url=SecretStr(with_nodes_that_are_down(amqp_url)))
    presence = Presence(connection_parameters(settings), 1)

    presence.start()

    eventually(lambda: presence.is_connected)
    presence.stop()


@pytest.fixture
def trust() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def client_tls(trust: trustme.CA, tmp_path: Path) -> AmqpTlsSettings:
    certificate = trust.issue_cert("client.example")
    trust.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "client.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "client.key"))
    return AmqpTlsSettings(
        ca_file=tmp_path / "ca.pem", certificate_file=tmp_path / "client.pem", key_file=tmp_path / "client.key"
    )


def server_context(trust: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return the TLS context of a node with these names, which verifies its clients."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.issue_cert(*names).configure_cert(context)
    trust.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def published(amqp_url: str, port: int, tls: AmqpTlsSettings) -> bool:
    """Return whether a message reached the broker over TLS."""
    parts = urlsplit(amqp_url)
    url = parts._replace(scheme="amqps", netloc=f"guest:guest@localhost:{port}").geturl()
    publisher = RabbitPublisher(Settings(amqp_url=SecretStr(url), amqp_tls=tls))
    unconfirmed = await publisher.publish("default", [1])
    await publisher.close()
    return unconfirmed == []


async def test_node_and_client_verify_each_other_by_their_certificates(
    amqp_url: str, trust: trustme.CA, client_tls: AmqpTlsSettings
) -> None:
    parts = urlsplit(amqp_url)
    context = server_context(trust, "localhost")
    async with tls_proxy(context, parts.hostname or "", parts.port or 5672) as port:
        assert await published(amqp_url, port, client_tls)
        without = client_tls.model_copy(update={"certificate_file": None, "key_file": None})
        assert not await published(amqp_url, port, without)


async def test_node_with_another_name_is_refused_unless_verify_is_off(
    amqp_url: str, trust: trustme.CA, client_tls: AmqpTlsSettings
) -> None:
    parts = urlsplit(amqp_url)
    context = server_context(trust, "other.example")
    async with tls_proxy(context, parts.hostname or "", parts.port or 5672) as port:
        assert not await published(amqp_url, port, client_tls)
        assert await published(amqp_url, port, client_tls.model_copy(update={"verify": False}))


@pytest.mark.parametrize("setting", ["ca_file", "certificate_file", "key_file"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_file_of_tls_that_cannot_be_used_is_named(
    client_tls: AmqpTlsSettings, tmp_path: Path, setting: str, content: str | None
) -> None:
    bad = tmp_path / "bad.pem"
    if content is not None:
        bad.write_text(content)
    settings = Settings(
        amqp_url=SecretStr("amqps://guest:guest@localhost"), amqp_tls=client_tls.model_copy(update={setting: bad})
    )

    with pytest.raises(InvalidSettings, match=f"TASKCORE_AMQP_TLS__{setting.upper()}.*: cannot be used"):
        connection_parameters(settings)
