"""A worker's liveness signal in RabbitMQ: an exclusive queue, which the broker deletes when its connection ends."""

from __future__ import annotations

from collections.abc import Sequence

import pika

from taskcore.messaging.addresses import shuffled
from taskcore.reconnecting_thread import ReconnectingThread

CHECK_INTERVAL_S = 1.0


def presence_queue(worker_id: int) -> str:
    return f"worker.{worker_id}"


class Presence(ReconnectingThread):
    """Keeps the queue of `worker_id` declared."""

    name = "presence"
    reconnect_delay_s = 1.0

    def __init__(self, parameters: Sequence[pika.ConnectionParameters], worker_id: int) -> None:
        super().__init__()
        self._parameters = parameters
        self._queue = presence_queue(worker_id)

    def _hold_connection(self) -> None:
        with pika.BlockingConnection(shuffled(self._parameters)) as connection:
            channel = connection.channel()
            while not self._stopping.is_set():
                # Repeatedly, because a policy or an operator can delete the queue while the connection stays open.
                channel.queue_declare(self._queue, exclusive=True, arguments={"x-queue-type": "classic"})
                self._report_connected()
                connection.process_data_events(CHECK_INTERVAL_S)
