"""What a task process tells its executor, as JSON: a process that runs foreign code is not to be unpickled from.

In the other direction, where it is the executor that speaks, frames are pickled.
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
    """Spans of what is followed (`taskcore.observability.tracing.span_codec`), and how many more there were."""

    spans: msgspec.Raw
    dropped: int


class SaveCheckpoint(msgspec.Struct, tag=True, array_like=True):
    """Is answered."""

    value: Any


class Submit(msgspec.Struct, tag=True, array_like=True):
    """Is answered, by an id. `context` is that of the span which it is asked in, as a traceparent."""

    task: dict[str, Any]
    context: str | None = None


class Get(msgspec.Struct, tag=True, array_like=True):
    """Is answered, by a task or None."""

    task_id: int


class Ended(msgspec.Struct, tag=True, array_like=True):
    """The attempt is over."""

    verdict: AttemptResult | None


class OutOfMemory(msgspec.Struct, tag=True, array_like=True):
    """The attempt is over, and so is the process."""


Notice = Logged | Progressed | SpansRecorded
Request = SaveCheckpoint | Submit | Get
End = Ended | OutOfMemory

_decoder: msgspec.json.Decoder[Notice | Request | End] = msgspec.json.Decoder(Notice | Request | End)
encode = msgspec.json.encode


def decode(frame: bytes) -> Notice | Request | End:
    return _decoder.decode(frame)
