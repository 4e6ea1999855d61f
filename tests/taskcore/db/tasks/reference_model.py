"""What every action must do to a task, written again in plain Python: from the documentation, not from the SQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from taskcore.domain.outcomes import MAX_CRASHES, MAX_WORKER_LOSSES
from taskcore.domain.states import CLAIMABLE, HELD, IDLE, TERMINAL, Status

Held = tuple[int, int, UUID]

UNSUCCESSFUL = (Status.FAILED, Status.CANCELLED)

#: The ends of an attempt: the outcome that is stored, and the counter that it increments.
RESULTS = {
    "succeeds": ("succeeded", None),
    "fails": ("failed", "failures"),
    "fails for good": ("failed", "failures"),
    "times out": ("timed_out", "failures"),
    "cancels itself": ("cancelled", None),
    "pauses": ("paused", None),
    "is returned": ("released", None),
    "is returned to run alone": ("released", None),
    "crashes": ("crashed", "crashes"),
    "is lost": ("lost", "worker_losses"),
}


@dataclass
class ModelTask:
    id: int
    queue: str
    max_attempts: int
    type: str  # hard: it cannot be cancelled or paused while it runs; rare: no worker knows it
    runs_in_future: bool  # its run_at lies ahead
    depends_on: tuple[int, ...] = ()
    dependents_state: str | None = None
    is_cancelled_by_parent: bool = False  # cancelled because of what it depends on
    status: Status | None = None
    attempt: int = 0
    failures: int = 0
    crashes: int = 0
    worker_losses: int = 0
    isolated: bool = False
    pause_requested: bool = False
    token: UUID | None = None
    worker: int | None = None
    is_due: bool = False
    checkpoint: int | None = None
    has_result: bool = False
    history: list[tuple[Status | None, Status | None]] = field(default_factory=list)
    attempts: list[tuple[int, str]] = field(default_factory=list)

    def move(self, to: Status | None, *, is_due: bool = True) -> None:
        self.history.append((self.status, to))
        self.status = to
        self.is_due = is_due and to in CLAIMABLE
        self.is_cancelled_by_parent = False
        if to not in HELD:
            self.token = None
            self.pause_requested = False

    def restart(self, to: Status) -> None:
        self.move(to)
        self.failures = self.crashes = self.worker_losses = 0
        self.isolated = self.has_result = False
        self.checkpoint = None
        self.dependents_state = self.dependents_state and "reblock"

    def end(self, how: str) -> tuple[Status, bool]:
        """Return the status after this attempt's end, and whether the task may run at once."""
        match how:
            case "succeeds":
                return Status.SUCCEEDED, True
            case "fails" | "times out":
                return (Status.RETRYING, False) if self.failures < self.max_attempts else (Status.FAILED, True)
            case "fails for good":
                return Status.FAILED, True
            case "cancels itself":
                return Status.CANCELLED, True
            case "pauses":
                return Status.PAUSED, True
            case "crashes":
                return (Status.QUEUED if self.crashes < MAX_CRASHES else Status.FAILED), True
            case "is lost":
                return (Status.QUEUED if self.worker_losses < MAX_WORKER_LOSSES else Status.FAILED), True
        return Status.QUEUED, True


class ReferenceModel:
    def __init__(self) -> None:
        self.tasks: dict[int, ModelTask] = {}
        self.live_workers: set[int] = set()
        self.paused_queues: set[str] = set()

    def submit(self, task: ModelTask) -> None:
        self.tasks[task.id] = task
        for parent in map(self.tasks.__getitem__, task.depends_on):
            if parent.status in UNSUCCESSFUL:
                parent.dependents_state = parent.dependents_state or "resolved"
            elif parent.status != Status.SUCCEEDED:
                parent.dependents_state = "reblock" if parent.dependents_state == "reblock" else "pending"
        if self._has_failed_parent(task):
            self._cascade(task)
        else:
            self._wait(task)

    def _wait(self, task: ModelTask) -> None:
        """Let the task wait for its parents, for its `run_at`, or for a worker."""
        if self._has_incomplete_parent(task):
            task.move(Status.BLOCKED)
        else:
            task.move(Status.SCHEDULED if task.runs_in_future else Status.QUEUED, is_due=not task.runs_in_future)

    def _has_incomplete_parent(self, task: ModelTask) -> bool:
        """Some parent has not succeeded. A deleted one had."""
        return any(self.tasks[id_].status not in (Status.SUCCEEDED, None) for id_ in task.depends_on)

    def _has_failed_parent(self, task: ModelTask) -> bool:
        """Some parent failed, was cancelled, or was deleted without having succeeded."""
        parents = [self.tasks[id_] for id_ in task.depends_on]
        gone = [parent.history[-1][0] for parent in parents if parent.status is None]
        return any(parent.status in UNSUCCESSFUL for parent in parents) or any(end != Status.SUCCEEDED for end in gone)

    def _cascade(self, task: ModelTask) -> None:
        task.move(Status.CANCELLED)
        task.is_cancelled_by_parent = True

    def resolve_dependencies(self) -> None:
        """Apply the ends and retries of tasks to their dependents, until nothing is left to do."""
        for task in (self.tasks[id_] for id_ in sorted(self.tasks)):
            if task.status is Status.CANCELLED and task.is_cancelled_by_parent and not self._has_failed_parent(task):
                task.restart(Status.BLOCKED)
            if task.status in (Status.BLOCKED, Status.PAUSED) and self._has_failed_parent(task):
                self._cascade(task)
            if task.status is Status.BLOCKED and not self._has_incomplete_parent(task):
                self._wait(task)
        for task in self.tasks.values():
            if task.dependents_state:
                task.dependents_state = "resolved" if task.status in TERMINAL else "pending"

    def come_due(self, id_: int) -> None:
        task = self.tasks[id_]
        task.is_due = task.status in CLAIMABLE

    def claim(self, ids: Iterable[int], worker: int, token: UUID) -> list[Held]:
        claimed = [task for task in map(self.tasks.__getitem__, sorted(set(ids))) if self._may_run(task)]
        for task in claimed:
            task.move(Status.RUNNING)
            task.attempt += 1
            task.token, task.worker = token, worker
        return [(task.id, task.attempt, token) for task in claimed]

    def _may_run(self, task: ModelTask) -> bool:
        return task.status in CLAIMABLE and task.is_due and task.type != "rare" and task.queue not in self.paused_queues

    def settle(self, held: Held, how: str) -> bool:
        id_, attempt, token = held
        task = self.tasks[id_]
        if task.status not in HELD or (task.attempt, task.token) != (attempt, token):
            return False
        outcome, cost = RESULTS[how]
        if cost:
            setattr(task, cost, getattr(task, cost) + 1)
        becomes, is_due = task.end(how)
        if task.status is Status.CANCELLING:
            becomes, outcome = Status.CANCELLED, "cancelled"
        elif task.pause_requested and becomes in CLAIMABLE:
            becomes = Status.PAUSED
        task.isolated |= how in ("crashes", "is returned to run alone") and task.end(how)[0] is Status.QUEUED
        if how == "is returned" and outcome == "released":
            task.isolated |= [before for _, before in task.attempts[-2:]] == ["released", "released"]
        task.attempts.append((attempt, outcome))
        task.move(becomes, is_due=is_due)
        task.has_result = becomes is Status.SUCCEEDED
        return True

    def save(self, held: Held, checkpoint: int) -> bool:
        is_held = held in self.held()
        if is_held:
            self.tasks[held[0]].checkpoint = checkpoint
        return is_held

    def expire(self, ids: Iterable[int]) -> set[int]:
        """The retention time of these tasks has ended."""
        return {id_ for id_ in ids if self.tasks[id_].status in TERMINAL and self.delete(id_)}

    def fail_unknown_type(self, *types: str) -> list[int]:
        """No worker has known these types for too long."""
        due = [task for task in self.tasks.values() if task.status in CLAIMABLE and task.is_due]
        waiting = [task for task in due if task.type in types and task.queue not in self.paused_queues]
        for task in waiting:
            task.move(Status.FAILED)
        return [task.id for task in waiting]

    def cancel(self, id_: int) -> bool:
        task = self.tasks[id_]
        if task.status in IDLE:
            task.move(Status.CANCELLED)
        elif task.status is Status.RUNNING and task.type != "hard":
            task.move(Status.CANCELLING)
        else:
            return False
        return True

    def pause(self, id_: int) -> bool:
        task = self.tasks[id_]
        if task.status in IDLE - {Status.PAUSED}:
            task.move(Status.PAUSED)
        elif task.status is Status.RUNNING and task.type != "hard":
            task.history.append((Status.RUNNING, Status.RUNNING))
            task.pause_requested = True
        else:
            return False
        return True

    def resume(self, id_: int) -> bool:
        task = self.tasks[id_]
        if task.status is Status.PAUSED:
            self._wait(task)
        elif task.status is Status.RUNNING and task.pause_requested:
            task.history.append((Status.RUNNING, Status.RUNNING))
            task.pause_requested = False
        else:
            return False
        return True

    def retry(self, id_: int) -> bool:
        task = self.tasks[id_]
        if task.status not in UNSUCCESSFUL or self._has_failed_parent(task):
            return False
        task.restart(Status.BLOCKED if self._has_incomplete_parent(task) else Status.QUEUED)
        return True

    def delete(self, id_: int) -> bool:
        task = self.tasks[id_]
        if task.status is None or task.status in HELD or task.dependents_state in ("pending", "reblock"):
            return False
        task.move(None)
        task.attempts.clear()
        return True

    def held(self) -> list[Held]:
        held = (task for task in self.tasks.values() if task.token is not None)
        return [(task.id, task.attempt, task.token) for task in held if task.token is not None]

    def is_orphaned(self, held: Held) -> bool:
        return self.tasks[held[0]].worker not in self.live_workers
