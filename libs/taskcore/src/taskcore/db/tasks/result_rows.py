"""The results of attempts as the parameter of `settlements.settle`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import UUID

import msgspec

from taskcore.domain.outcomes import AttemptOutcome, ChargedAs
from taskcore.domain.states import Status
from taskcore.domain.tasks import FinishedAttempt, Lease, SpanIds

_NO_SPANS: Mapping[Lease, SpanIds] = MappingProxyType({})


def result_rows(batch: Sequence[FinishedAttempt], span_ids: Mapping[Lease, SpanIds] = _NO_SPANS) -> str:
    """Return the parameter `rows`. `span_ids` are those of the traced attempts."""
    return msgspec.json.encode([_row(one, span_ids.get(one.lease)) for one in batch]).decode()


class _Row(msgspec.Struct, omit_defaults=True):
    task_id: int
    attempt: int
    token: UUID
    status: Status
    outcome: AttemptOutcome
    charged_as: ChargedAs
    isolated: bool
    result: msgspec.Raw | None = None
    error: str | None = None
    reason: str | None = None
    wait_s: float | None = None
    waited_s: float | None = None
    ran_s: float | None = None
    trace: str | None = None
    span: str | None = None


def _row(one: FinishedAttempt, span_ids: SpanIds | None) -> _Row:
    lease, result = one.lease, one.result
    return _Row(
        lease.task_id,
        lease.attempt,
        lease.token,
        result.status,
        result.outcome,
        result.charged_as,
        result.isolated,
        None if result.result_json is None else msgspec.Raw(result.result_json.encode()),
        result.error,
        result.reason,
        None if result.retry_in is None else result.retry_in.total_seconds(),
        one.waited_s,
        one.ran_s,
        span_ids and span_ids.trace_id,
        span_ids and span_ids.span_id,
    )
