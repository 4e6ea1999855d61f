"""The relay's publisher while the broker cannot be reached."""

from __future__ import annotations

import asyncio

from pydantic import SecretStr

from taskcore.messaging.publisher import RabbitPublisher
from taskcore.settings import Settings


async def test_one_attempt_to_connect_is_made_for_many_queues() -> None:
    """A broker that hangs delays each attempt by seconds, and a round of the relay asks about every queue."""
    attempts: list[object] = []

    async def hang_up(_: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        attempts.append(client)
        client.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        publisher = RabbitPublisher(Settings(amqp_url=SecretStr(f"amqp://127.0.0.1:{port}")))
        counts = await asyncio.gather(*(publisher.ready_count(f"queue-{number}") for number in range(20)))
        await publisher.close()

    assert set(counts) == {None}
    assert len(attempts) == 1
