"""The relay's connection to a server that does not answer, or has no channel left."""

from __future__ import annotations

import asyncio

import pika
import pytest

from taskcore.errors import BrokerUnavailable
from taskcore.messaging.publisher_connection import ConfirmConnection


async def test_giving_up_to_connect_closes_the_connection() -> None:
    connected, ended = asyncio.Event(), asyncio.Event()

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        ended.set()
        writer.close()

    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        address = pika.ConnectionParameters("127.0.0.1", port, stack_timeout=60)
        opening = asyncio.create_task(ConfirmConnection.open([address]))
        await connected.wait()

        opening.cancel()

        with pytest.raises(asyncio.CancelledError):
            await opening
        async with asyncio.timeout(10):
            await ended.wait()


async def test_a_connection_without_a_free_channel_is_of_no_use(amqp_url: str) -> None:
    address = pika.URLParameters(amqp_url)
    address.channel_max = 1
    connection = await ConfirmConnection.open([address])

    with pytest.raises(BrokerUnavailable, match="NoFreeChannels"):
        await connection.queue_exists("any")

    await connection.close()
