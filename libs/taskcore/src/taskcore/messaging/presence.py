"""A worker's presence in the broker: an exclusive queue, which is gone with the worker's connection.

One of the two witnesses of its life; the other is an advisory lock in the database.
"""

from __future__ import annotations

import threading
from typing import Any

import pika
import structlog

RECONNECT_DELAY_S = 1.0
CHECK_INTERVAL_S = 1.0

log = structlog.stdlib.get_logger(__name__)


def presence_queue(worker_id: int) -> str:
    return f"worker.{worker_id}"


class Presence:
    """Keeps the queue of `worker_id`, for as long as it runs; comes back after the broker was away."""

    def __init__(self, parameters: pika.URLParameters, worker_id: int) -> None:
        self._parameters = parameters
        self._queue = presence_queue(worker_id)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="presence", daemon=True)
        self.is_connected = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Its connection is closed soon after; the end of the process closes it too."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._keep(pika.BlockingConnection(self._parameters))
            except Exception as exc:  # whatever it was: a worker without presence is taken for dead, so try again
                log.warning("presence.lost", queue=self._queue, error=repr(exc))
            finally:
                self.is_connected = False
            self._stopping.wait(RECONNECT_DELAY_S)

    def _keep(self, connection: Any) -> None:
        with connection:
            channel = connection.channel()
            while not self._stopping.is_set():
                self._declare(channel)
                self.is_connected = True
                connection.process_data_events(CHECK_INTERVAL_S)

    def _declare(self, channel: Any) -> None:
        """Again and again: a policy or a person can take the queue away while the connection is all right."""
        channel.queue_declare(self._queue, exclusive=True, arguments={"x-queue-type": "classic"})
