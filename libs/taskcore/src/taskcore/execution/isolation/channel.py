"""Frames over a stream socket: how an executor and a task process talk."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

from taskcore.domain.tasks import MAX_TASK_BYTES
from taskcore.errors import TaskcoreError

#: A result within its bound, with every character escaped.
MAX_FRAME = 16 * MAX_TASK_BYTES
_HEAD = struct.Struct("!I")


class FrameTooLarge(TaskcoreError):
    """More than may be said at once."""


class Channel:
    """One thread at a time may send, and one receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def send(self, frame: bytes) -> None:
        """Raises `OSError` where nobody is there any more, and `FrameTooLarge`."""
        if len(frame) > MAX_FRAME:
            raise FrameTooLarge(f"{len(frame)} bytes are more than {MAX_FRAME}")
        self._connection.sendall(_HEAD.pack(len(frame)) + frame)

    def receive(self) -> bytes | None:
        """The next frame; None at the end. Raises `FrameTooLarge`."""
        head = self._read(_HEAD.size)
        if head is None:
            return None
        (size,) = _HEAD.unpack(head)
        if size > MAX_FRAME:
            raise FrameTooLarge(f"{size} bytes are more than {MAX_FRAME}")
        return self._read(size)

    def shutdown(self) -> None:
        """Nothing more comes: whoever receives gets what was sent before, and then the end."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()

    def _read(self, size: int) -> bytes | None:
        buffer = bytearray()
        while len(buffer) < size:
            try:
                chunk = self._connection.recv(min(size - len(buffer), 1 << 16))
            except OSError:  # it was killed with something of ours unread
                return None
            if not chunk:
                return None
            buffer += chunk
        return bytes(buffer)
