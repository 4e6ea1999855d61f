"""The consumer that claims: between the broker and Dramatiq's threads stands the database.

Dramatiq's ConsumerThread iterates over it. It takes no more messages than there are free slots, claims them in one
statement, acknowledges them (a crash is seen through the lease, not through the broker), and hands the tasks on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import structlog
from dramatiq import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed

from taskcore.db.engine import is_database_unavailable
from taskcore.domain.outcomes import Reason
from taskcore.domain.tasks import ClaimedTask
from taskcore.errors import first_line
from taskcore.execution.executor import Executor
from taskcore.execution.slots import SHORT_RUN_S, Capacity, SlotPool
from taskcore.messaging.messages import build_message
from taskcore.messaging.transports import Delivery, Transport

MAX_IDLE_HOLD_S = 1.0
#: What is claimed starts within this, or elsewhere.
MAX_START_DELAY_S = 5.0
#: Messages that come faster than they are claimed gather for a moment: a claim of 16 costs little more than one of 4.
BATCHING_THRESHOLD = 4
BATCH_LINGER_S = 0.004

log = structlog.stdlib.get_logger(__name__)


class ClaimingConsumer(Consumer):
    """Serves one queue."""

    def __init__(
        self, transport: Transport, queue: str, slots: SlotPool, executor: Executor, *, timeout_s: float
    ) -> None:
        self._transport = transport
        self._queue = queue
        self._slots = slots
        self._executor = executor
        self._timeout_s = timeout_s
        self._unclaimed: list[Delivery] = []
        self._full_since: float | None = None
        self._is_batching = False
        self._next_overdue_check = 0.0
        self._general_only = False  # what waits here is not short: it must not be tried in a slot for short tasks again

    def __next__(self) -> MessageProxy | None:
        if (claimed := self._slots.next_for_idle_thread(self._queue)) is not None:
            return _proxy(claimed)
        self._release_overdue()
        if self._slots.is_closed:
            self._requeue_all()
            return None
        if not self._unclaimed and self._full_since is None:
            self._unclaimed = self._transport.receive(self._prefetch(), self._poll_timeout_s())
            if not self._unclaimed:
                self._is_batching = False
                return None
            if self._is_batching and len(self._unclaimed) < self._prefetch():
                self._unclaimed += self._transport.receive(self._prefetch() - len(self._unclaimed), BATCH_LINGER_S)
            self._is_batching = len(self._unclaimed) >= BATCHING_THRESHOLD
        wanted = max(1, len(self._unclaimed))
        room = self._slots.reserve(wanted, general_only=self._general_only, wake=self._transport.wake)
        if not room:
            return self._wait_for_slot()
        self._full_since = None
        self._claim(room)
        claimed = self._slots.next_for_idle_thread(self._queue)
        return None if claimed is None else _proxy(claimed)

    def ack(self, message: MessageProxy) -> None:
        """Nothing to do: the message was acknowledged when its task was claimed."""

    nack = ack

    def requeue(self, messages: Any) -> None:
        """Nothing to do: what was handed on is acknowledged already, and is given back in the database."""

    def close(self) -> None:
        self._transport.close()

    def _poll_timeout_s(self) -> float:
        """How long to wait for the broker: briefly while tasks are left to a thread that may turn out to be stuck."""
        return SHORT_RUN_S if self._slots.has_ready(self._queue) else self._timeout_s

    def _prefetch(self) -> int:
        return self._slots.threads + self._slots.prefetch_short

    def _wait_for_slot(self) -> MessageProxy | None:
        """All slots are taken. After `PATIENCE_S` others get the messages, so that none sits behind a long task."""
        now = time.monotonic()
        self._full_since = self._full_since or now
        if self._unclaimed and now - self._full_since >= MAX_IDLE_HOLD_S:
            self._transport.requeue(self._unclaimed)
            self._unclaimed = []
            self._general_only = False
        self._transport.process_events(min(MAX_IDLE_HOLD_S, self._poll_timeout_s()))
        return None

    def _release_overdue(self) -> None:
        """What was claimed ahead because its type was short, and waits behind runs that are not, is for others."""
        now = time.monotonic()
        if now < self._next_overdue_check:
            return
        self._next_overdue_check = now + MAX_IDLE_HOLD_S
        if not (late := self._slots.take_overdue(MAX_START_DELAY_S)):
            return
        log.warning("tasks.overdue", count=len(late), task_ids=[one.lease.task_id for one in late[:10]])
        try:
            self._executor.release(late, Reason.OVERDUE)
        except Exception as exc:  # the database says that they are held here: that they are not is found soon
            if not is_database_unavailable(exc):
                raise
            log.warning("database.unavailable", error=first_line(exc))

    def _requeue_all(self) -> None:
        """This process stops: what it has not claimed is for others, now and not only when its last task is done."""
        self._transport.requeue(self._unclaimed)
        self._unclaimed = []
        self._transport.process_events(self._timeout_s)

    def _claim(self, capacity: Capacity) -> None:
        batch, rest = self._unclaimed[: capacity.total], self._unclaimed[capacity.total :]
        ids = list(dict.fromkeys(one.task_id for one in batch if one.task_id is not None))
        contexts = {one.task_id: one.traceparent for one in batch if one.traceparent and one.task_id is not None}
        try:
            claimed = self._claim_idempotently(ids, capacity.general, contexts)
        except BaseException:
            self._slots.add_claimed(capacity, [])
            raise
        order = {task_id: place for place, task_id in enumerate(ids)}
        late = self._slots.add_claimed(capacity, sorted(claimed, key=lambda one: order[one.lease.task_id]))
        self._executor.release(late)
        kept = self._acknowledge(batch, {one.lease.task_id for one in claimed})
        self._unclaimed = kept + rest
        self._general_only = bool(kept)

    def _claim_idempotently(self, ids: list[int], any_room: int, contexts: Mapping[int, str]) -> list[ClaimedTask]:
        """Claim, however often the database goes away meanwhile: with one token, so that a lost answer is found."""
        token = uuid4()
        short_types = self._slots.durations.short_types()
        is_repeated = False
        while ids and not self._slots.is_closed:
            try:
                recalled = self._executor.recover_claim(token, contexts) if is_repeated else []
                return recalled or self._executor.claim(token, ids[:any_room], ids[any_room:], short_types, contexts)
            except Exception as exc:
                if not is_database_unavailable(exc):
                    raise
                log.warning("database.unavailable", unclaimed=len(ids), error=first_line(exc))
                is_repeated = True
                self._wait_for_database()
        return []

    def _wait_for_database(self) -> None:
        try:
            self._transport.process_events(MAX_IDLE_HOLD_S)
        except ConnectionClosed:  # the claim may be committed: its token must not be lost with the connection
            time.sleep(MAX_IDLE_HOLD_S)

    def _acknowledge(self, batch: list[Delivery], claimed: set[int]) -> list[Delivery]:
        """Acknowledge what is claimed or stale. Answers what is due but was not for a slot for short tasks."""
        left = [one.task_id for one in batch if one.task_id is not None and one.task_id not in claimed]
        due = set(self._executor.handle_unclaimed(left)) if left else set()
        kept = [one for one in batch if one.task_id in due]
        self._transport.acknowledge([one for one in batch if one.task_id not in due], multiple=not kept)
        return kept


def _proxy(claimed: ClaimedTask) -> MessageProxy:
    return MessageProxy(build_message(claimed.queue, claimed.lease.task_id))
