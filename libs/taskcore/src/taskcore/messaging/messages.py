"""What travels: a task id in Dramatiq's envelope, nothing else. Everything about the task is in PostgreSQL."""

from __future__ import annotations

import time

import msgspec
from dramatiq import Message

ACTOR = "run"


class _Envelope(msgspec.Struct):
    args: tuple[int]


_decoder = msgspec.json.Decoder(_Envelope)


def message(queue: str, task_id: int) -> Message[None]:
    """The Dramatiq message that says «task `task_id` may be claimed»."""
    return Message(
        queue_name=queue,
        actor_name=ACTOR,
        args=(task_id,),
        kwargs={},
        options={},
        message_id=str(task_id),
        message_timestamp=int(time.time() * 1000),
    )


def encode(queue: str, task_id: int) -> bytes:
    return message(queue, task_id).encode()


def decode(body: bytes) -> int | None:
    """The task id; None for something that is not one of our messages."""
    try:
        return _decoder.decode(body).args[0]
    except (msgspec.DecodeError, ValueError):
        return None
