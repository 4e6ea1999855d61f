"""The consumer that claims: it turns messages of the broker into claimed tasks for Dramatiq's threads.

Dramatiq's ConsumerThread iterates over it. It receives no more messages than there are free slots, claims their tasks
in one statement, acknowledges them (the lease reveals a crash, not the broker), and hands the tasks on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any
from uuid import uuid4

import structlog
from dramatiq import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed

from taskcore.db.engine import is_database_unavailable
from taskcore.domain.outcomes import Reason
from taskcore.domain.tasks import ClaimedTask
from taskcore.execution.executor import Executor
from taskcore.execution.slots import Capacity, SlotPool
from taskcore.execution.type_durations import SHORT_RUN_S
from taskcore.messaging.brokers import TASKS
from taskcore.messaging.messages import build_message
from taskcore.messaging.transports import Delivery, Transport
from taskcore.observability.outages import DATABASE

#: Messages that find no free slot within this time go back to the queue, so that none waits behind a long task.
MAX_IDLE_HOLD_S = 1.0
#: A claimed task that has not started within this time is released to other workers.
MAX_START_DELAY_S = 5.0
#: A backlog of messages gathers for a moment before it is claimed: a claim of 16 costs little more than one of 4.
BATCHING_THRESHOLD = 4
BATCH_LINGER_S = 0.004

log = structlog.stdlib.get_logger(__name__)


class Turn(Enum):
    """What the consumer does in one turn of Dramatiq's loop."""

    DRAIN = auto()  # the process stops: requeue what is not claimed
    RECEIVE = auto()  # slots are free and no message is at hand: receive some and claim
    CLAIM = auto()  # slots are free and messages are left from the last claim: claim them
    HOLD = auto()  # no slot is free: keep the messages, and claim as soon as a slot is
    REQUEUE = auto()  # no slot has been free for too long: requeue the messages, those not received too, then as HOLD


def plan_turn(*, is_closed: bool, unclaimed: int, full_for_s: float | None) -> Turn:
    """Plan with that many `unclaimed` messages. `full_for_s`: how long no slot has been free; None if one was."""
    if is_closed:
        return Turn.DRAIN
    if full_for_s is None:
        return Turn.CLAIM if unclaimed else Turn.RECEIVE
    return Turn.REQUEUE if full_for_s >= MAX_IDLE_HOLD_S else Turn.HOLD


class ClaimingConsumer(Consumer):
    """Consumes all queues of a process, in the one thread that Dramatiq has for them."""

    def __init__(self, slots: SlotPool, executor: Executor, transport: Transport, timeout_s: float) -> None:
        self._slots = slots
        self._executor = executor
        self._transport = transport
        self._timeout_s = timeout_s
        self._unclaimed: list[Delivery] = []
        self._full_since: float | None = None
        self._is_batching = False
        self._next_overdue_check = 0.0
        self._general_only = False  # the unclaimed tasks are not short: do not try slots for short tasks again

    def __next__(self) -> MessageProxy | None:
        claimed = self._slots.next_for_idle_thread()
        if claimed is None:
            self._release_overdue()
            self._take_turn()
            claimed = self._slots.next_for_idle_thread()
        return None if claimed is None else MessageProxy(build_message(TASKS, claimed.lease.task_id))

    def ack(self, message: MessageProxy) -> None:
        """Do nothing: the message was acknowledged when its task was claimed."""

    nack = ack

    def requeue(self, messages: Any) -> None:
        """Do nothing: messages handed to Dramatiq are acknowledged, and their tasks are released in the database."""

    def close(self) -> None:
        self._transport.close()

    def _take_turn(self) -> None:
        full_for_s = None if self._full_since is None else time.monotonic() - self._full_since
        turn = plan_turn(is_closed=self._slots.is_closed, unclaimed=len(self._unclaimed), full_for_s=full_for_s)
        match turn:
            case Turn.DRAIN:
                self._requeue_all()
                self._transport.drain()
                self._transport.process_events(self._timeout_s)
            case Turn.RECEIVE:
                if self._receive():
                    self._claim_into_free_slots()
            case Turn.CLAIM:
                self._claim_into_free_slots()
            case Turn.HOLD:
                self._wait_for_slot()
            case Turn.REQUEUE:
                self._requeue_all()
                self._wait_for_slot()

    def _receive(self) -> bool:
        """Receive messages; those of a backlog in larger batches. Return whether there are any."""
        limit = self._slots.threads + self._slots.prefetch_short
        self._unclaimed = self._transport.receive(limit, self._poll_timeout_s())
        if self._is_batching and 0 < len(self._unclaimed) < limit:
            self._unclaimed += self._transport.receive(limit - len(self._unclaimed), BATCH_LINGER_S)
        self._is_batching = len(self._unclaimed) >= BATCHING_THRESHOLD
        return bool(self._unclaimed)

    def _claim_into_free_slots(self) -> None:
        """Claim what free slots allow. When there are none, the pool wakes the transport as soon as one is free."""
        wanted = max(1, len(self._unclaimed))
        capacity = self._slots.reserve(wanted, general_only=self._general_only, wake=self._transport.wake)
        if capacity:
            self._full_since = None
            self._claim(capacity)
        else:
            self._full_since = self._full_since or time.monotonic()

    def _wait_for_slot(self) -> None:
        self._transport.process_events(min(MAX_IDLE_HOLD_S, self._poll_timeout_s()))
        self._claim_into_free_slots()

    def _poll_timeout_s(self) -> float:
        """Poll briefly while claimed tasks wait: the thread that they are left to may turn out to be stuck."""
        return SHORT_RUN_S if self._slots.has_ready() else self._timeout_s

    def _requeue_all(self) -> None:
        self._transport.requeue(self._unclaimed)
        self._unclaimed = []
        self._general_only = False

    def _release_overdue(self) -> None:
        """Release tasks that were claimed ahead as short ones and now wait behind runs that are not short."""
        now = time.monotonic()
        if now < self._next_overdue_check:
            return
        self._next_overdue_check = now + MAX_IDLE_HOLD_S
        if not (overdue := self._slots.take_overdue(MAX_START_DELAY_S)):
            return
        log.warning("tasks.overdue", count=len(overdue), task_ids=[task.lease.task_id for task in overdue[:10]])
        try:
            self._executor.release(overdue, Reason.OVERDUE)
        except Exception as exc:  # the lease manager finds them as lost claims, once the database is back
            if not is_database_unavailable(exc):
                raise
            DATABASE.failed(exc)

    def _claim(self, capacity: Capacity) -> None:
        batch, rest = self._unclaimed[: capacity.total], self._unclaimed[capacity.total :]
        ids = list(dict.fromkeys(d.task_id for d in batch if d.task_id is not None))
        traceparents = {d.task_id: d.traceparent for d in batch if d.traceparent and d.task_id is not None}
        try:
            claimed = self._claim_idempotently(ids, capacity.general, traceparents)
        except BaseException:
            self._slots.add_claimed(capacity, [])
            raise
        position = {task_id: index for index, task_id in enumerate(ids)}
        too_late = self._slots.add_claimed(capacity, sorted(claimed, key=lambda task: position[task.lease.task_id]))
        self._executor.release(too_late)
        kept = self._acknowledge(batch, {task.lease.task_id for task in claimed})
        self._unclaimed = kept + rest
        self._general_only = bool(kept)

    def _claim_idempotently(self, ids: list[int], general: int, traceparents: Mapping[int, str]) -> list[ClaimedTask]:
        """Claim until the database answers. The token stays the same, so a claim whose reply was lost is recovered."""
        token = uuid4()
        short_types = self._slots.durations.short_types()
        is_repeated = False
        while ids and not self._slots.is_closed:
            try:
                recovered = self._executor.recover_claim(token, traceparents) if is_repeated else []
                claimed = recovered or self._executor.claim(
                    token, ids[:general], ids[general:], short_types, traceparents
                )
                DATABASE.succeeded()
                return claimed
            except Exception as exc:
                if not is_database_unavailable(exc):
                    raise
                DATABASE.failed(exc, unclaimed=len(ids))
                if is_repeated:  # at first, only this one connection may be lost
                    self._wait_for_database()
                is_repeated = True
        return []

    def _wait_for_database(self) -> None:
        try:
            self._transport.process_events(MAX_IDLE_HOLD_S)
        except ConnectionClosed:  # the claim may be committed: its token must not be lost with the connection
            time.sleep(MAX_IDLE_HOLD_S)

    def _acknowledge(self, batch: list[Delivery], claimed: set[int]) -> list[Delivery]:
        """Acknowledge claimed and stale messages. Return those that are due but did not fit a slot for short tasks."""
        unclaimed = [d.task_id for d in batch if d.task_id is not None and d.task_id not in claimed]
        due = set(self._executor.handle_unclaimed(unclaimed)) if unclaimed else set()
        kept = [d for d in batch if d.task_id in due]
        self._transport.acknowledge([d for d in batch if d.task_id not in due], multiple=not kept)
        return kept
