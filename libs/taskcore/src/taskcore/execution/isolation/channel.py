"""Length-prefixed frames over a stream socket, between an executor and a task process."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from taskcore.domain.tasks import MAX_TASK_BYTES
from taskcore.errors import TaskcoreError

#: Room for a result of the maximum size in which every character is escaped.
MAX_FRAME = 16 * MAX_TASK_BYTES
_HEAD = struct.Struct("!I")


class FrameTooLarge(TaskcoreError):
    """A message is larger than a frame may be."""


class Channel:
    """One thread at a time may send, and one may receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, frame: bytes) -> None:
        """Raises `FrameTooLarge`, and `OSError` when the other side is gone."""
        if len(frame) > MAX_FRAME:
            raise FrameTooLarge(f"{len(frame)} bytes are more than {MAX_FRAME}")
        self._connection.sendall(_HEAD.pack(len(frame)) + frame)

    def receive(self) -> bytes | None:
        """Return the next frame, or `None` at the end. Raises `FrameTooLarge`."""
        head = self._read(_HEAD.size)
        if head is None:
            return None
        (size,) = _HEAD.unpack(head)
        if size > MAX_FRAME:
            raise FrameTooLarge(f"{size} bytes are more than {MAX_FRAME}")
        return self._read(size)

    def shutdown(self) -> None:
        """End both directions. A receiver still gets what was sent before."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _read(self, size: int) -> bytes | None:
        buffer = bytearray()
        while len(buffer) < size:
            try:
                chunk = self._connection.recv(min(size - len(buffer), 1 << 16))
            except OSError:  # the peer was killed before it read all that we had sent
                return None
            if not chunk:
                return None
            buffer += chunk
        return bytes(buffer)
