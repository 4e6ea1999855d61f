"""The witnesses of a worker's life: with all of them gone, others believe it dead, and it must not go on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from taskcore.leasing.control_listener import Ears
from taskcore.messaging.brokers import connection_parameters
from taskcore.messaging.presence import Presence
from taskcore.settings import Settings


class Witness(Protocol):
    """What shows others that the worker lives, and shows the worker that others can see it."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    @property
    def is_open(self) -> bool: ...


#: Makes the witnesses of the worker with that id; the callable is to be called when somebody wants something of it.
MakeWitnesses = Callable[[int, Callable[[], None]], Sequence[Witness]]


def two_witnesses(settings: Settings) -> MakeWitnesses:
    """One in the database and one in RabbitMQ."""

    def make(worker_id: int, wake: Callable[[], None]) -> Sequence[Witness]:
        ears = Ears(settings.database_url.get_secret_value(), worker_id, on_wake=wake)
        return [ears, Presence(connection_parameters(settings), worker_id)]

    return make


class Witnesses:
    """Those of one worker after the other: a new lease is a new worker.

    `patience_s`: how long all of them may be gone before the worker counts as unseen.
    """

    def __init__(self, make: MakeWitnesses, wake: Callable[[], None], patience_s: float) -> None:
        self._make = make
        self._wake = wake
        self._patience_s = patience_s
        self._now: Sequence[Witness] = ()
        self._seen_at = 0.0

    def follow(self, worker_id: int | None) -> None:
        """From now on they are of `worker_id`; None: of nobody."""
        self.stop()
        self._seen_at = time.monotonic()
        self._now = () if worker_id is None else self._make(worker_id, self._wake)
        for witness in self._now:
            witness.start()

    def are_gone(self) -> bool:
        """All of them, for longer than others wait before they believe the worker dead."""
        if not self._now or any(witness.is_open for witness in self._now):
            self._seen_at = time.monotonic()
        return time.monotonic() - self._seen_at > self._patience_s

    def stop(self) -> None:
        for witness in self._now:
            witness.stop()
