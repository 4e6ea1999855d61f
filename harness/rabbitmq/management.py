"""RabbitMQ's management API. It creates a virtual host in milliseconds; `rabbitmqctl` takes seconds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx
import pika
import pytest

PORT = 15672


@dataclass(frozen=True)
class VirtualHost:
    amqp_url: str
    name: str
    _management: ManagementApi

    def queues(self) -> set[str]:
        """Return the names of the existing queues."""
        return {queue["name"] for queue in self._management.request("GET", f"queues/{self.name}").json()}

    def exists(self, queue: str) -> bool:
        return self._management.request("GET", f"queues/{self.name}/{quote(queue, safe='')}", allow=(404,)).is_success

    def depth(self, queue: str) -> int:
        """Return the number of ready messages. It uses AMQP, because the management API's counts lag by seconds."""
        with pika.BlockingConnection(pika.URLParameters(self.amqp_url)) as connection:
            return int(connection.channel().queue_declare(queue, passive=True).method.message_count)

    def purge(self, queue: str) -> None:
        """Delete all ready messages."""
        self._management.request("DELETE", f"queues/{self.name}/{quote(queue, safe='')}/contents")

    def delete(self, queue: str) -> None:
        """Delete the queue and its messages, even while it has consumers."""
        self._management.request("DELETE", f"queues/{self.name}/{quote(queue, safe='')}")

    def permit(self, read: str = ".*") -> None:
        """Let the user read the queues whose names match the pattern, declare all, and write to all."""
        self._management.request(
            "PUT",
            f"permissions/{self.name}/{quote(self._management.user, safe='')}",
            {"configure": ".*", "write": ".*", "read": read},
        )

    @contextmanager
    def policy(self, queues: str, **definition: Any) -> Iterator[None]:
        """Apply `definition` to the queues whose names match the pattern, for the duration of the context."""
        path = f"policies/{self.name}/tests"
        self._management.request("PUT", path, {"pattern": queues, "definition": definition, "apply-to": "queues"})
        yield
        self._management.request("DELETE", path)

    def close_connections(self) -> None:
        """Close every client connection, as a network failure would."""
        for connection in self._management.request("GET", f"vhosts/{self.name}/connections").json():
            self._management.request("DELETE", f"connections/{quote(connection['name'], safe='')}", allow=(404,))


class ManagementApi:
    def __init__(self, amqp_url: str, url: str | None = None) -> None:
        """`url` defaults to the standard management port on the broker's host."""
        parts = urlsplit(amqp_url)
        self._amqp = f"{parts.scheme}://{parts.netloc}"
        self.user = unquote(parts.username or "guest")
        self.url = url or f"http://{parts.hostname}:{PORT}"
        self._client = httpx.Client(
            base_url=self.url,
            auth=(self.user, unquote(parts.password or "guest")),
            trust_env=False,
            timeout=60,
        )

    @contextmanager
    def virtual_host(self, name: str) -> Iterator[VirtualHost]:
        """Yield a new virtual host. It is deleted afterwards with its contents."""
        self.request("PUT", f"vhosts/{name}")
        host = VirtualHost(f"{self._amqp}/{name}", name, self)
        host.permit()
        try:
            yield host
        finally:
            self.request("DELETE", f"vhosts/{name}")

    @property
    def is_available(self) -> bool:
        """Whether the broker and its listeners are up."""
        try:
            return self._client.get("/api/aliveness-test/%2F").is_success
        except httpx.TransportError:
            return False

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, allow: tuple[int, ...] = ()
    ) -> httpx.Response:
        try:
            response = self._client.request(method, f"/api/{path}", json=body)
        except httpx.TransportError as exc:
            pytest.fail(f"RabbitMQ's management plugin does not respond at {self._client.base_url}: {exc}")
        if response.status_code not in allow:
            response.raise_for_status()
        return response

    def close(self) -> None:
        self._client.close()
