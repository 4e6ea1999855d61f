"""The records that an executor and its fork server exchange: of one size, some with file descriptors."""

from __future__ import annotations

import os
import socket
import struct
from enum import IntEnum

_RECORD = struct.Struct("!BQi")


class RecordKind(IntEnum):
    # to the fork server
    START = 1  # with the task process's ends of its channel and of its command pipe
    SIGNAL = 2  # the value is a signal for the whole process group
    # from the fork server
    READY = 3  # the plugins are loaded
    STARTED = 4  # the value is the process id
    EXITED = 5  # the value is the wait status
    NOT_STARTED = 6  # the value is an errno


def send(
    connection: socket.socket, kind: RecordKind, number: int = 0, value: int = 0, fds: tuple[int, ...] = ()
) -> None:
    """Send a record about the task process to which the executor gave `number`. Raises `OSError` on a lost peer."""
    record = _RECORD.pack(kind, number, value)
    if fds:
        socket.send_fds(connection, [record], fds)
    else:
        connection.sendall(record)


def receive(connection: socket.socket) -> tuple[RecordKind, int, int, list[int]] | None:
    """Return kind, number, value and file descriptors of the next record, or `None` at the end."""
    record, fds, _, _ = socket.recv_fds(connection, _RECORD.size, 2, socket.MSG_WAITALL)
    for fd in fds:
        os.set_inheritable(fd, False)
    if len(record) < _RECORD.size:
        return None
    kind, number, value = _RECORD.unpack(record)
    return RecordKind(kind), number, value, fds
