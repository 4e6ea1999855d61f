"""What an executor and its nursery tell each other: records of one size, some with file descriptors."""

from __future__ import annotations

import os
import socket
import struct
from enum import IntEnum

_RECORD = struct.Struct("!BQi")


class RecordKind(IntEnum):
    # to the nursery
    START = 1  # with the task process's end of its channel, and of its orders
    SIGNAL = 2  # the value is sent to the whole process group
    # from the nursery
    READY = 3  # the plugins are loaded
    STARTED = 4  # the value is its process id
    EXITED = 5  # the value is its wait status
    NOT_STARTED = 6  # the value is an errno


def send(
    connection: socket.socket, kind: RecordKind, number: int = 0, value: int = 0, fds: tuple[int, ...] = ()
) -> None:
    """`number` is that of the task process, given by the executor. Raises `OSError` where nobody is there."""
    record = _RECORD.pack(kind, number, value)
    if fds:
        socket.send_fds(connection, [record], fds)
    else:
        connection.sendall(record)


def receive(connection: socket.socket) -> tuple[RecordKind, int, int, list[int]] | None:
    """None at the end."""
    record, fds, _, _ = socket.recv_fds(connection, _RECORD.size, 2, socket.MSG_WAITALL)
    for fd in fds:
        os.set_inheritable(fd, False)
    if len(record) < _RECORD.size:
        return None
    kind, number, value = _RECORD.unpack(record)
    return RecordKind(kind), number, value, fds
