"""The witnesses of a worker's life: with all of them gone, others believe it dead, and it must not go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from taskcore.leasing.control_listener import ControlListener
from taskcore.messaging.brokers import connection_parameters
from taskcore.messaging.presence import Presence
from taskcore.settings import Settings


class LivenessSignal(Protocol):
    """What shows others that the worker lives, and shows the worker that others can see it."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_connected(self) -> bool: ...


#: Makes the witnesses of the worker with that id; the callable is to be called when somebody wants something of it.
LivenessSignalFactory = Callable[[int, Callable[[], None]], Sequence[LivenessSignal]]


def default_signals(settings: Settings) -> LivenessSignalFactory:
    """One in the database and one in RabbitMQ."""

    def make(worker_id: int, wake: Callable[[], None]) -> Sequence[LivenessSignal]:
        ears = ControlListener(settings.database_url.get_secret_value(), worker_id, on_wake=wake)
        return [ears, Presence(connection_parameters(settings), worker_id)]

    return make


class LivenessSignals:
    """Those of one worker after the other: a new lease is a new worker.

    `patience_s`: how long all of them may be gone before the worker counts as unseen.
    """

    def __init__(self, make: LivenessSignalFactory, wake: Callable[[], None], tolerance_s: float) -> None:
        self._make = make
        self._wake = wake
        self._tolerance_s = tolerance_s
        self._signals: Sequence[LivenessSignal] = ()
        self._last_connected_at = 0.0

    def switch_to(self, worker_id: int | None) -> None:
        """From now on they are of `worker_id`; None: of nobody."""
        self.stop()
        self._last_connected_at = time.monotonic()
        self._signals = () if worker_id is None else self._make(worker_id, self._wake)
        for witness in self._signals:
            witness.start()

    def all_lost(self) -> bool:
        """All of them, for longer than others wait before they believe the worker dead."""
        if not self._signals or any(witness.is_connected for witness in self._signals):
            self._last_connected_at = time.monotonic()
        return time.monotonic() - self._last_connected_at > self._tolerance_s

    def stop(self) -> None:
        for witness in self._signals:
            witness.stop()
