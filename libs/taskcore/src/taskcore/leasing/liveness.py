"""All liveness signals of a worker: connections by which others see that it lives, and it sees whether they can.

A worker that has lost all of them is declared dead, and has to stop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from taskcore.leasing.control_listener import ControlListener
from taskcore.messaging.addresses import connection_parameters
from taskcore.messaging.presence import Presence
from taskcore.reconnecting_thread import ReconnectingThread
from taskcore.settings import Settings

#: Makes the signals of the worker with this id. They call the second argument when the database has news for it.
LivenessSignalFactory = Callable[[int, Callable[[], None]], Sequence[ReconnectingThread]]


def signal_factory(settings: Settings) -> LivenessSignalFactory:
    """Make two signals for each worker, one in PostgreSQL and one in RabbitMQ.

    Raises:
        InvalidSettings: when the settings of RabbitMQ cannot be used.
    """
    parameters = connection_parameters(settings)

    def make(worker_id: int, wake: Callable[[], None]) -> Sequence[ReconnectingThread]:
        listener = ControlListener(settings.direct_url, worker_id, on_wake=wake)
        return [listener, Presence(parameters, worker_id)]

    return make


@dataclass(eq=False)
class LivenessSignals:
    """The signals of one worker at a time: a process that gets a new lease is a new worker.

    `tolerance_s`: how long all signals may be lost before `all_lost` says so.
    """

    make: LivenessSignalFactory
    wake: Callable[[], None]
    tolerance_s: float
    clock: Callable[[], float] = time.monotonic
    _signals: Sequence[ReconnectingThread] = field(default=(), init=False)
    _last_connected_at: float = field(default=0.0, init=False)

    def switch_to(self, worker_id: int | None) -> None:
        """Replace the signals by those of `worker_id`, or by none."""
        self.stop()
        self._last_connected_at = self.clock()
        self._signals = () if worker_id is None else self.make(worker_id, self.wake)
        for each in self._signals:
            each.start()

    def all_lost(self) -> bool:
        """Return whether all signals have been lost for longer than coordinators wait before they declare death."""
        if not self._signals or any(each.is_connected for each in self._signals):
            self._last_connected_at = self.clock()
        return self.clock() - self._last_connected_at > self.tolerance_s

    def stop(self) -> None:
        for each in self._signals:
            each.stop()
