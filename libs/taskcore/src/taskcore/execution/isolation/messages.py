"""The messages from a task process to its executor, as JSON: a process that runs a plugin is not trusted with pickle.

In the other direction the executor sends pickled frames.
"""

from __future__ import annotations

from typing import Any

import msgspec

from taskcore.domain.outcomes import AttemptResult


class Logged(msgspec.Struct, tag=True, array_like=True):
    level: str
    message: str
    fields: dict[str, Any]


class Progressed(msgspec.Struct, tag=True, array_like=True):
    value: Any


class SpansRecorded(msgspec.Struct, tag=True, array_like=True):
    """Spans in the encoding of `span_codec`, and how many more were dropped."""

    spans: msgspec.Raw
    dropped: int


class SaveCheckpoint(msgspec.Struct, tag=True, array_like=True):
    """The reply is `None`."""

    value: Any


class Submit(msgspec.Struct, tag=True, array_like=True):
    """The reply is the id of the new task. `context` is the traceparent of the current span."""

    task: dict[str, Any]
    context: str | None = None


class Get(msgspec.Struct, tag=True, array_like=True):
    """The reply is a task or `None`."""

    task_id: int


class Ended(msgspec.Struct, tag=True, array_like=True):
    """The attempt has ended. Without a result, nothing is to be settled."""

    result: AttemptResult | None


class OutOfMemory(msgspec.Struct, tag=True, array_like=True):
    """The attempt has ended, and the process ends too."""


Notice = Logged | Progressed | SpansRecorded
Request = SaveCheckpoint | Submit | Get
End = Ended | OutOfMemory

_decoder: msgspec.json.Decoder[Notice | Request | End] = msgspec.json.Decoder(Notice | Request | End)
encode = msgspec.json.encode


def decode(frame: bytes) -> Notice | Request | End:
    return _decoder.decode(frame)
