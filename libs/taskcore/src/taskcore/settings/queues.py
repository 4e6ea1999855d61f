"""Settings of queues."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from taskcore.settings.field_types import LIVE, Age, Section

#: A process has an AMQP channel for each queue, and RabbitMQ allows 2,047 channels by default.
MAX_QUEUES = 2_000


class QueueSettings(Section):
    """Queues, which tasks name as they like."""

    max: Annotated[Annotated[int, Field(ge=1, le=MAX_QUEUES)], LIVE] = 200
    """How many queues there may be. A task that names one more is refused."""
    delete_unused_after_s: Annotated[Age, LIVE] = 86_400
    """How long after its last task an empty queue is deleted, unless it is paused, or a worker, a type or a schedule
    names it. Null, which can be set live, keeps queues for ever.
    """
