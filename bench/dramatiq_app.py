"""The bare Dramatiq application for its own command line: a no-op actor, no results, the default middleware.

Dramatiq expects the broker at import time, so this module creates it then, configured by the environment.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

from bench.finish_times import FinishTimes

AMQP_URL = "BENCH_AMQP_URL"
FINISH_TIMES = "BENCH_FINISH_TIMES"
CAPACITY = "BENCH_CAPACITY"
QUEUE = "bare"


class QuorumBroker(RabbitmqBroker):
    """Uses quorum queues. Messages are persistent and publishing awaits no confirms, as by default."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        usual: dict[str, Any] = super()._build_queue_arguments(queue_name)  # type: ignore[no-untyped-call]
        return usual | {"x-queue-type": "quorum"}


def declare_noop(broker: QuorumBroker, finish_times: FinishTimes | None) -> dramatiq.Actor[[], None]:
    """Declare the actor. The sending process passes no `finish_times`."""

    def noop() -> None:
        if finish_times is not None:
            finish_times.add()

    return dramatiq.actor(broker=broker, queue_name=QUEUE)(noop)


if AMQP_URL in os.environ:
    broker = QuorumBroker(url=os.environ[AMQP_URL])
    dramatiq.set_broker(broker)
    declare_noop(broker, FinishTimes(Path(os.environ[FINISH_TIMES]), int(os.environ[CAPACITY])))
