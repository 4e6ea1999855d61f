"""Refuse tasks that would invent a queue beyond the setting `queues.max`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from taskapi.http.field_errors import field_error
from taskapi.runtime.queue_names import QueueNames
from taskapi.runtime.type_cache import KnownType
from taskapi.tasks.batch_item import BatchItem


async def check_queues(names: QueueNames, items: Sequence[BatchItem], types: Mapping[str, KnownType]) -> None:
    """Reject the items that name a queue too many. The queues of task types are never too many."""
    defaults = {known.queue for known in types.values()}
    named = dict.fromkeys(queue for item in items if (queue := item.spec.queue) is not None and queue not in defaults)
    refused = await names.find_refused(named)
    for item in items:
        if item.spec.queue in refused:
            item.reject([field_error((*item.path, "queue"), names.refusal)])
