"""The services of an attempt in a process of its own: requests to its executor."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Mapping
from queue import SimpleQueue
from typing import Any

import msgspec

from taskcore.domain.attempt_reports import MAX_CHECKPOINT_BYTES, MAX_PROGRESS_BYTES
from taskcore.errors import DatabaseUnavailable, InvalidTask, LeaseLost, TaskcoreError
from taskcore.execution.isolation import messages
from taskcore.execution.isolation.channel import MAX_FRAME, Channel, FrameTooLarge
from taskcore.execution.json_cleaning import clean_json, clean_line
from taskcore.observability.tracing.propagation import current_traceparent

MAX_QUEUED = 1_000

#: Errors that keep their class on the way to the plugin.
KNOWN_ERRORS: dict[str, type[TaskcoreError]] = {
    error.__name__: error for error in (DatabaseUnavailable, LeaseLost, InvalidTask)
}

#: The value, and the class and text of an error.
Reply = tuple[Any, tuple[str, str] | None]


class ServiceFailed(TaskcoreError):
    """The executor could not do what the attempt asked for."""


class RemoteServices:
    """One thread sends for the whole process, so that an interrupt in the plugin's thread cannot cut a frame short."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._outgoing: SimpleQueue[tuple[bytes, SimpleQueue[Reply] | None] | None] = SimpleQueue()
        self._sender = threading.Thread(target=self._send_loop, name="services", daemon=True)
        self._sender.start()

    def log(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        text, cleaned = clean_line(message, fields)
        self._notify(messages.Logged(level, text, msgspec.json.decode(cleaned) if cleaned else {}))

    def progress(self, value: Any) -> None:
        self._notify(messages.Progressed(msgspec.Raw(clean_json(value, MAX_PROGRESS_BYTES).encode())))

    def save_checkpoint(self, value: Any) -> None:
        self._request(messages.SaveCheckpoint(msgspec.Raw(clean_json(value, MAX_CHECKPOINT_BYTES).encode())))

    def submit(self, task: Mapping[str, Any]) -> int:
        document = msgspec.to_builtins(dict(task), str_keys=True)
        return int(self._request(messages.Submit(document, current_traceparent())))

    def get(self, task_id: int) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = self._request(messages.Get(task_id))
        return found

    def close(self, *last: bytes) -> None:
        """Send what is queued, then the frames `last`. Nothing can be sent after that."""
        for frame in last:
            self._outgoing.put((frame, None))
        self._outgoing.put(None)
        self._sender.join()

    def _notify(self, notice: messages.Notice) -> None:
        while self._outgoing.qsize() > MAX_QUEUED:  # the plugin writes faster than the executor reads
            time.sleep(0.01)
        self._enqueue(messages.encode(notice), None)

    def _request(self, request: messages.Request) -> Any:
        reply: SimpleQueue[Reply] = SimpleQueue()
        self._enqueue(messages.encode(request), reply)
        value, error = reply.get()
        if error is not None:
            name, text = error
            raise KNOWN_ERRORS.get(name, ServiceFailed)(text)
        return value

    def _enqueue(self, frame: bytes, reply: SimpleQueue[Reply] | None) -> None:
        if len(frame) > MAX_FRAME:
            raise FrameTooLarge(f"{len(frame)} bytes are more than {MAX_FRAME}")
        self._outgoing.put((frame, reply))

    def _send_loop(self) -> None:
        while (message := self._outgoing.get()) is not None:
            frame, reply = message
            try:
                self._channel.send(frame)
                if reply is not None:
                    reply.put(pickle.loads(self._channel.receive() or b""))
            except Exception as exc:  # the executor is gone, and this process will be killed
                if reply is not None:
                    reply.put((None, ("", f"the executor is unreachable: {exc}")))
