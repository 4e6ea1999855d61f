"""From the answer of a claim to what a worker holds: the task, and the spans that follow it."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

from taskcore.domain.tasks import ClaimedTask, Lease
from taskcore.observability.tracing.attempt_spans import AttemptTrace, ClaimInfo
from taskcore.observability.tracing.provider import Tracing, suppress_errors


def to_claimed(row: Any, token: UUID, tracing: Tracing, began_ns: int, sent: str | None) -> ClaimedTask:
    """A row of `taskcore.db.tasks.claims`, asked for at `began_ns` (of the epoch). `sent`: the message's traceparent."""
    followed = None
    if row.trace_context is not None and tracing.is_enabled:
        with suppress_errors():  # the claim is committed
            followed = AttemptTrace(tracing, _begun(row, began_ns, sent))
    return ClaimedTask(
        lease=Lease(row.id, row.attempt, token),
        name=row.name,
        type=row.type,
        queue=row.queue,
        parameters=row.parameters,
        failures=row.failures,
        max_attempts=row.max_attempts,
        claimed_at=time.monotonic(),
        crashes=row.crashes,
        worker_losses=row.worker_losses,
        timeout_s=row.timeout_s,
        isolated=row.isolated,
        checkpoint=row.checkpoint,
        request_id=row.request_id,
        trace=followed,
    )


def _begun(row: Any, began_ns: int, sent: str | None) -> ClaimInfo:
    return ClaimInfo(
        task_id=row.id,
        type=row.type,
        queue=row.queue,
        attempt=row.attempt,
        submit_traceparent=row.trace_context,
        message_traceparent=sent,
        started_ns=began_ns,
        claimed_at=row.claimed_at,
        queued_s=row.queued_s,
    )
