"""Bare Dramatiq, as its own command line loads it: an actor that does nothing, nothing kept, its default middleware.

Dramatiq makes its broker on import, so this module does too; what it needs comes in the environment.
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
    """Messages are persistent, as always with Dramatiq; its publisher awaits no confirms, which is its default."""

    def _build_queue_arguments(self, queue_name: str) -> dict[str, Any]:
        usual: dict[str, Any] = super()._build_queue_arguments(queue_name)  # type: ignore[no-untyped-call]
        return usual | {"x-queue-type": "quorum"}


def declare_noop(broker: QuorumBroker, marks: FinishTimes | None) -> dramatiq.Actor[[], None]:
    """The actor. The side that only sends has no `marks`."""

    def noop() -> None:
        if marks is not None:
            marks.add()

    return dramatiq.actor(broker=broker, queue_name=QUEUE)(noop)


if AMQP_URL in os.environ:
    broker = QuorumBroker(url=os.environ[AMQP_URL])
    dramatiq.set_broker(broker)
    declare_noop(broker, FinishTimes(Path(os.environ[FINISH_TIMES]), int(os.environ[CAPACITY])))
