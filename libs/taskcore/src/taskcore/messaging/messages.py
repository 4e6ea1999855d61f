"""The messages: a task id in Dramatiq's envelope, and the trace context. Everything else is in PostgreSQL."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from dramatiq import Message
from msgspec import Meta

ACTOR = "run"
MAX_TRACEPARENT = 64

#: A larger id is no bigint: the database would refuse it, again at each delivery.
_TaskId = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class _Envelope(msgspec.Struct, frozen=True):
    args: tuple[_TaskId]
    options: Any = None


_decoder = msgspec.json.Decoder(_Envelope)


def build_message(queue: str, task_id: int, traceparent: str | None = None) -> Message[None]:
    """Build the Dramatiq message that says that task `task_id` may be claimed."""
    return Message(
        queue_name=queue,
        actor_name=ACTOR,
        args=(task_id,),
        kwargs={},
        options={} if traceparent is None else {"traceparent": traceparent},
        message_id=str(task_id),
        message_timestamp=int(time.time() * 1000),
    )


def encode(queue: str, task_id: int, traceparent: str | None = None) -> bytes:
    """Encode to the same bytes as Dramatiq's own encoder, in a third of its time."""
    return msgspec.json.encode(build_message(queue, task_id, traceparent))


def decode(body: bytes) -> tuple[int | None, str | None]:
    """Return the task id and the traceparent. Without an id it is not one of our messages."""
    try:
        envelope = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None, None
    return envelope.args[0], _traceparent(envelope.options)


def _traceparent(options: Any) -> str | None:
    """Return the traceparent if it is usable. Bad options must not keep the task from running."""
    found = options.get("traceparent") if isinstance(options, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_TRACEPARENT else None
