"""Taps that act on certain messages: a claim's reply, a publish, a confirm, an acknowledgement.

Once armed, a trigger acts on its next message, on any connection.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Event

READY = b"Z\x00\x00\x00\x05I"  # ready for query, no open transaction: the work is committed
CLAIM = (b"DELETE FROM outbox", b"lease_token")
PROTOCOL_3 = 196_608

PUBLISH, ACK = (60, 40), (60, 80)


@dataclass(slots=True)
class Trigger:
    """Calls `act` in the proxy's thread instead of forwarding the message."""

    act: Callable[[], None] = lambda: None
    armed: Event = field(default_factory=Event)
    fired: Event = field(default_factory=Event)

    def fire(self) -> bool:
        if not self.armed.is_set():
            return False
        self.armed.clear()
        self.act()
        self.fired.set()
        return True

    def arm(self) -> None:
        self.fired.clear()
        self.armed.set()


class ClaimReplyTap:
    """Matches PostgreSQL's reply to a claim. The claim is committed; only the reply is lost."""

    def __init__(self, trigger: Trigger) -> None:
        self._trigger = trigger
        self._pieces = _Pieces(_frontend_size)
        self._claims: set[bytes] = set()
        self._is_claiming = False

    def on_client_data(self, data: bytes) -> bool:
        for message in self._pieces.add(data):
            if message[:1] == b"P":  # parse: name, SQL
                name, sql = message[5:].split(b"\0", 2)[:2]
                (self._claims.add if all(word in sql for word in CLAIM) else self._claims.discard)(name)
            elif message[:1] == b"B":  # bind: portal, name
                self._is_claiming = message[5:].split(b"\0", 2)[1] in self._claims
        return False

    def on_server_data(self, data: bytes) -> bool:
        if not (self._is_claiming and data.endswith(READY)):
            return False
        self._is_claiming = False
        return self._trigger.fire()


class AmqpMethodTap:
    """Matches an AMQP frame with this method, sent by the client (`from_client`) or by the broker."""

    def __init__(self, trigger: Trigger, method: tuple[int, int], *, from_client: bool) -> None:
        self._trigger = trigger
        self._head = struct.pack(">HH", *method)
        self._is_up = from_client
        self._up, self._down = _Pieces(_client_frame_size), _Pieces(_frame_size)

    def on_client_data(self, data: bytes) -> bool:
        return self._sees(self._up.add(data)) and self._is_up and self._trigger.fire()

    def on_server_data(self, data: bytes) -> bool:
        return self._sees(self._down.add(data)) and not self._is_up and self._trigger.fire()

    def _sees(self, frames: Iterator[bytes]) -> bool:
        methods = [frame[7:11] for frame in frames if frame[:1] == b"\x01"]
        return self._head in methods


class _Pieces:
    """Splits a stream into messages. `size` returns the next message's length, or None when it needs more bytes."""

    def __init__(self, size: Callable[[bytes], int | None]) -> None:
        self._size = size
        self._rest = b""

    def add(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while (size := self._size(self._rest)) is not None and len(self._rest) >= size:
            message, self._rest = self._rest[:size], self._rest[size:]
            yield message


def _frontend_size(data: bytes) -> int | None:
    """The first message has no type byte: its length starts with 0, which is not a type."""
    if len(data) < 5:
        return None
    if data[0] == 0:
        return int.from_bytes(data[:4], "big")
    return 1 + int.from_bytes(data[1:5], "big")


def _client_frame_size(data: bytes) -> int | None:
    """Like `_frame_size`, but the stream starts with the protocol header."""
    return 8 if data.startswith(b"AMQP") else _frame_size(data)


def _frame_size(data: bytes) -> int | None:
    return None if len(data) < 7 else 8 + int.from_bytes(data[3:7], "big")
