"""What travels: a task id in Dramatiq's envelope, and the context of its trace. All else is in PostgreSQL."""

from __future__ import annotations

import time
from typing import Annotated, Any

import msgspec
from dramatiq import Message
from msgspec import Meta

ACTOR = "run"
MAX_TRACEPARENT = 64

#: An id beyond a bigint would be refused by the database, at every delivery again.
_TaskId = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class _Envelope(msgspec.Struct, frozen=True):
    args: tuple[_TaskId]
    options: Any = None


_decoder = msgspec.json.Decoder(_Envelope)


def build_message(queue: str, task_id: int, traceparent: str | None = None) -> Message[None]:
    """The Dramatiq message that says «task `task_id` may be claimed»."""
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
    """The bytes that Dramatiq's own encoder gives, in a third of its time."""
    return msgspec.json.encode(build_message(queue, task_id, traceparent))


def decode(body: bytes) -> tuple[int | None, str | None]:
    """The task id, and the traceparent where it has one. No id: it is not one of our messages."""
    try:
        envelope = _decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None, None
    return envelope.args[0], _traceparent(envelope.options)


def _traceparent(options: Any) -> str | None:
    """Whatever else is there is no reason to leave the task where it is."""
    found = options.get("traceparent") if isinstance(options, dict) else None
    return found if isinstance(found, str) and len(found) <= MAX_TRACEPARENT else None
