"""A migrated database for tests of statements, with the verbs that clients, workers and coordinators perform on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, text

from taskcore.db.queues import outbox, unserved
from taskcore.db.tasks import actions, claims, dependencies, settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.db.tasks.submit import submit
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.db.workers import leases, workers
from taskcore.domain import outcomes
from taskcore.domain.dependencies import plan_start, state_of
from taskcore.domain.outcomes import AttemptResult, worker_lost
from taskcore.domain.states import Status
from taskcore.domain.tasks import FinishedAttempt, Lease, NewTask


def new_task(**fields: Any) -> NewTask:
    asked: dict[str, Any] = {"name": "t", "type": "noop", "queue": "default", "parameters": {}, "max_attempts": 4}
    return NewTask(**{**asked, **fields})


class DatabaseHarness:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def run(self, statement: Any, **parameters: Any) -> list[Any]:
        with self.engine.connect() as connection:
            result = connection.execute(statement, parameters)
            return list(result) if result.returns_rows else []

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        options = {"isolation_level": "READ COMMITTED"}
        with self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def sql(self, statement: str, **parameters: Any) -> list[Any]:
        return self.run(text(statement), **parameters)

    def submit(self, *tasks: NewTask) -> list[int]:
        statement, parameters = submit(tasks)
        return [row.id for row in self.run(statement, **parameters)]

    def submit_with_parents(self, *parents: int, **fields: Any) -> int:
        """Submit a task that depends on `parents`, as the API does."""
        with self.transaction() as connection:
            rows = connection.execute(dependencies.lock_tasks(), {"ids": list(parents)}).all()
            start = plan_start([state_of(row.id, Status(row.status)) for row in rows])
            (row,) = connection.execute(*submit_planned([(new_task(**fields), start)]))
            connection.execute(*add_dependencies([(row.id, parent) for parent in parents]))
        return int(row.id)

    def fail_unknown_type(self, *, after_s: float) -> list[int]:
        """Fail the waiting tasks of types that no worker serves, as the rescuer does."""
        waited = {"after_s": float(after_s)}
        types = [row.name for row in self.run(unserved.unserved_types(), **waited)]
        with self.transaction() as connection:
            ids = list(connection.scalars(actions.lock_unknown_type(), {"types": types, "after_id": 0, **waited}))
            return list(connection.scalars(actions.fail_unknown_type(), {"ids": ids, **waited}))

    def let_time_pass(self, *, days: int) -> None:
        """Let all types have been served for the last time, and all due tasks have come due, `days` ago."""
        for change in ("task_type SET seen_at = {}", "outbox SET available_at = {} WHERE available_at <= now()"):
            self.sql(f"UPDATE {change.format(f'now() - {days} * interval $$1 day$$')}")

    def apply_action(self, statement: Any, task_id: int) -> bool:
        """Resume or retry a task, as the API does."""
        values = {"task": task_id, "by": "me"}
        with self.transaction() as connection:
            connection.execute(dependencies.lock_task_and_parents(), values)
            return bool(connection.execute(statement, values).all())

    def run_to_end(self, task_id: int, result: AttemptResult | None = None) -> None:
        """Claim and settle the task: it succeeds, unless there is another `result`."""
        token = uuid4()
        (row,) = self.claim([task_id], token=token)
        assert self.settle(task_id, row.attempt, token, result) == [task_id]

    def register_worker(
        self, *, lease_s: float = 30, queues: Sequence[str] = (), types: Sequence[str] = ("noop",)
    ) -> int:
        statement = workers.register_worker(host="here", pid=1, slots=8, queues=queues, types=types, lease_s=lease_s)
        return int(self.run(statement)[0].id)

    def claim(self, ids: Sequence[int], *, worker: int = 1, token: UUID | None = None, **more: Any) -> list[Any]:
        parameters: dict[str, Any] = {"short_ids": [], "types": ["noop"], "short_types": [], "incarnation": 1}
        return self.run(claims.claim(), ids=list(ids), worker=worker, token=token or uuid4(), **{**parameters, **more})

    def settle(
        self, task_id: int, attempt: int, token: UUID, result: AttemptResult | None = None, worker: int = 1
    ) -> list[int]:
        result = result or outcomes.succeeded(None)
        rows = result_rows([FinishedAttempt(Lease(task_id, attempt, token), "noop", result, 0.0, 0.1)])
        return [r.id for r in self.run(settlements.settle(), rows=rows, by=f"worker:{worker}")]

    def register_type(self, name: str, **fields: Any) -> None:
        """Register the type `name`, as a worker does."""
        known = {"name": name, "description": "", "queue": "default", "schema": {}, "max_attempts": 4, "retry": {}}
        self.run(workers.register_types([{**known, **fields}]))

    def rescue_orphans(self) -> list[int]:
        return self.settle_as_lost(self.run(leases.orphaned_attempts()), by="coordinator")

    def settle_as_lost(self, held: Sequence[Any], *, by: str) -> list[int]:
        """Settle the rows `held`, whose worker is gone."""
        attempts = map(leases.HeldAttempt.from_row, held)
        batch = [attempt.finish(worker_lost(attempt.worker_losses)) for attempt in attempts]
        return [row.id for row in self.run(settlements.settle(), rows=result_rows(batch), by=by)]

    def dispatch(self, room: int, queue: str = "default", types: Sequence[str] = ("noop",)) -> list[int]:
        return [row.task_id for row in self.run(outbox.dispatch(), of=queue, room=room, types=list(types))]

    def delete_expired_workers(self) -> list[int]:
        """Delete the workers whose lease has expired, as the rescuer does."""
        (clock,) = self.run(leases.read_clock())
        return [row.id for row in self.run(leases.delete_expired_workers(), now=clock.now, tolerance_s=5.0)]

    def status(self, task_id: int) -> str:
        return str(self.sql("SELECT status FROM task WHERE id = :id", id=task_id)[0].status)

    def history(self, task_id: int) -> list[str | None]:
        rows = self.sql("SELECT to_status FROM task_history WHERE task_id = :id ORDER BY id", id=task_id)
        return [row.to_status for row in rows]

    def make_due(self, task_id: int) -> None:
        self.sql("UPDATE outbox SET available_at = now() WHERE task_id = :id", id=task_id)

    def wait_for_blocked(self, count: int, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait until `count` statements of this database wait for a lock, or until `is_over`."""
        deadline = time.monotonic() + 60
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while self.sql(waiting)[0][0] < count and not is_over():
            assert time.monotonic() < deadline, "no statement waits for a lock"
            time.sleep(0.01)
