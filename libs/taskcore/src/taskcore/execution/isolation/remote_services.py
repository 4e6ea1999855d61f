"""The services of an attempt in a process of its own: what it asks is asked of its executor."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

import msgspec

from taskcore.domain.attempt_reports import MAX_CHECKPOINT_BYTES, MAX_PROGRESS_BYTES
from taskcore.errors import InvalidTask, LeaseLost, TaskcoreError, TemporarilyUnavailable
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import MAX_FRAME, Channel, FrameTooLarge
from taskcore.execution.json_cleaning import clean_json, clean_line
from taskcore.observability.tracing.propagation import current_traceparent

MAX_WAITING = 1_000

#: Errors that an attempt gets as they are.
FORESEEN: dict[str, type[TaskcoreError]] = {
    error.__name__: error for error in (TemporarilyUnavailable, LeaseLost, InvalidTask)
}

#: What was asked for, or the class of an error and its text.
Answer = tuple[Any, tuple[str, str] | None]


class ServiceFailed(TaskcoreError):
    """The executor could not do what the attempt asked for."""


class RemoteServices:
    """One thread speaks for all of the process: an interrupt can hit whoever asks, but never half a message."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._outgoing: SimpleQueue[tuple[bytes, SimpleQueue[Answer] | None] | None] = SimpleQueue()
        self._speaker = threading.Thread(target=self._speak, name="services", daemon=True)
        self._speaker.start()

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        text, cleaned = clean_line(message, fields)
        self._tell(messages.Logged(level, text, msgspec.json.decode(cleaned) if cleaned else {}))

    def progress(self, value: Any) -> None:
        self._tell(messages.Progressed(msgspec.Raw(clean_json(value, MAX_PROGRESS_BYTES).encode())))

    def save_checkpoint(self, value: Any) -> None:
        self._ask(messages.SaveCheckpoint(msgspec.Raw(clean_json(value, MAX_CHECKPOINT_BYTES).encode())))

    def submit(self, task: Mapping[str, Any]) -> int:
        return int(self._ask(messages.Submit(msgspec.to_builtins(dict(task), str_keys=True), current_traceparent())))

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._ask(messages.Get(task_id))
        return found

    def close(self, *last: bytes) -> None:
        """Say what is still to be said, and then `last`."""
        for frame in last:
            self._outgoing.put((frame, None))
        self._outgoing.put(None)
        self._speaker.join()

    def _tell(self, notice: messages.Notice) -> None:
        while self._outgoing.qsize() > MAX_WAITING:  # an attempt that talks faster than it is heard
            time.sleep(0.01)
        self._say(messages.encode(notice), None)

    def _ask(self, request: messages.Request) -> Any:
        reply: SimpleQueue[Answer] = SimpleQueue()
        self._say(messages.encode(request), reply)
        value, refusal = reply.get()
        if refusal is not None:
            error, text = refusal
            raise FORESEEN.get(error, ServiceFailed)(text)
        return value

    def _say(self, frame: bytes, reply: SimpleQueue[Answer] | None) -> None:
        if len(frame) > MAX_FRAME:
            raise FrameTooLarge(f"{len(frame)} bytes are more than {MAX_FRAME}")
        self._outgoing.put((frame, reply))

    def _speak(self) -> None:
        while (message := self._outgoing.get()) is not None:
            frame, reply = message
            try:
                self._channel.send(frame)
                if reply is not None:
                    reply.put(pickle.loads(self._channel.receive() or b""))
            except Exception as exc:  # the executor is gone, and this process soon is, too
                if reply is not None:
                    reply.put((None, ("", f"the executor cannot be reached: {exc}")))
