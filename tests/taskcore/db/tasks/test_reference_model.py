"""Every statement that changes tasks, in random orders, against a reference model in plain Python.

Set `HYPOTHESIS_PROFILE=long` for a long run.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from taskcore.db.queues import queues
from taskcore.db.tasks import actions, attempt_reports, dependencies, retention, settlements
from taskcore.db.tasks.result_rows import result_rows
from taskcore.db.workers import leases
from taskcore.domain import outcomes
from taskcore.domain.outcomes import AttemptOutcome, AttemptResult
from taskcore.domain.retry import RetryPolicy, plan_retry
from taskcore.domain.states import CLAIMABLE, IDLE, TERMINAL, Status
from taskcore.domain.tasks import FinishedAttempt, Lease
from tests.taskcore.db.db_harness import DatabaseHarness
from tests.taskcore.db.tasks.model_inputs import ASKED, EXAMPLES, HOW, PICK, QUEUES, STEPS, VERB
from tests.taskcore.db.tasks.reference_model import Held, ModelTask, ReferenceModel
from tests.taskcore.db.tasks.snapshots import assert_consistent, clear, expected_snapshots, take_snapshots


class TaskStateMachine(RuleBasedStateMachine):
    """Actors act mostly where they can, and now and then on a finished, deleted or foreign task."""

    def __init__(self, db: DatabaseHarness, coordinate: Callable[[], None]) -> None:
        super().__init__()
        self.db = db
        self.coordinate = coordinate
        self.model = ReferenceModel()
        self.crew: list[int] = []
        self.leases: list[Held] = []  # all that ever were
        clear(db)

    def one(self, pick: int, *statuses: Status) -> int:
        """Return a task with one of `statuses`, usually."""
        fitting = [task.id for task in self.model.tasks.values() if task.status in statuses]
        ids = fitting if fitting and pick % 5 != 4 else sorted(self.model.tasks)
        return ids[pick // 5 % len(ids)]

    @initialize(asked=st.lists(ASKED, min_size=3, max_size=3))
    def begin(self, asked: list[dict[str, Any]]) -> None:
        self.db.register_type("soft", can_cancel=True, can_pause=True)
        self.db.register_type("hard", can_cancel=False, can_pause=False)
        self.db.register_type("rare")
        self.hire()
        for one in asked:
            self.submit(one)

    @rule(verb=VERB, picks=st.lists(PICK, min_size=1, max_size=3), asked=ASKED, how=HOW)
    def step(self, verb: str, picks: list[int], asked: dict[str, Any], how: str) -> None:
        """One rule for everything: with many rules, each example would use only a few."""
        match verb:
            case "submit":
                self.submit(asked)
            case "claim":
                self.claim(picks)
            case "settle" | "settle_with_a_wrong_token":
                getattr(self, verb)(picks, how)
            case _:
                getattr(self, verb)(picks[0])

    # Clients and time

    def submit(self, asked: dict[str, Any]) -> None:
        if len(self.model.tasks) >= 8:
            return
        run_at = datetime.now(UTC) + timedelta(days=1) if asked["runs_in_future"] else None
        fields = {"queue": asked["queue"], "max_attempts": asked["max_attempts"], "run_at": run_at}
        parents = self.parents(asked.pop("parents"))
        id_ = self.db.submit_with_parents(*parents, type=asked["type"], **fields)
        counts = {"crashes": asked["crashes"], "worker_losses": asked["worker_losses"]}
        self.db.sql(
            "UPDATE task SET crashes = :crashes, worker_losses = :worker_losses WHERE id = :id", id=id_, **counts
        )
        self.model.submit(ModelTask(id_, depends_on=parents, **asked))

    def parents(self, picks: list[int]) -> tuple[int, ...]:
        there = [task.id for task in self.model.tasks.values() if task.status is not None]
        return tuple({there[pick % len(there)] for pick in picks}) if there else ()

    def resolve_dependencies(self, _: int) -> None:
        """The model knows the result of the resolution, not its steps."""
        before = {id_: list[tuple[str | None, str | None]](task.history) for id_, task in self.model.tasks.items()}
        self.coordinate()
        self.model.resolve_dependencies()
        for id_, one in take_snapshots(self.db).items():
            assert list(one.steps[: len(before[id_])]) == before[id_]
            self.model.tasks[id_].history = [
                (Status(source) if source else None, Status(to) if to else None) for source, to in one.steps
            ]

    def time_comes(self, pick: int) -> None:
        task = self.one(pick, *CLAIMABLE)
        self.db.make_due(task)
        self.model.come_due(task)

    # Workers

    def hire(self, _: int = 0) -> None:
        worker = self.db.register_worker(types=["soft", "hard"])
        self.crew.append(worker)
        self.model.live_workers.add(worker)

    def claim(self, picks: list[int]) -> None:
        """Claim by any messages: first ones, duplicates, stale ones. A worker that counts as dead claims as well."""
        chosen = [self.one(pick, *CLAIMABLE) for pick in picks]
        worker, token = self.crew[sum(picks) % len(self.crew)], uuid4()
        rows = self.db.claim(chosen, worker=worker, token=token, types=["soft", "hard"])
        claimed = self.model.claim(chosen, worker, token)
        assert [(row.id, row.attempt, token) for row in rows] == claimed
        assert [row.checkpoint for row in rows] == [self.model.tasks[id_].checkpoint for id_, *_ in claimed]
        self.leases += claimed

    def settle(self, picks: list[int], how: str) -> None:
        """Settle, also twice, and long after another worker has got the task."""
        self.end({held for pick in picks for held in self.lease(pick)}, how)

    def settle_with_a_wrong_token(self, picks: list[int], how: str) -> None:
        self.end({(id_, attempt, uuid4()) for id_, attempt, _ in self.lease(picks[0])}, how)

    def lease(self, pick: int) -> list[Held]:
        """Return a lease that is held, usually; otherwise an old one, or none."""
        live = self.model.held()
        leases = live if live and pick % 4 != 3 else self.leases
        return [leases[pick // 4 % len(leases)]] if leases else []

    def report(self, pick: int) -> None:
        for held in self.lease(pick):
            documents = attempt_reports.document_rows({Lease(*held): str(pick)})
            rows = self.db.run(attempt_reports.save_checkpoint(), rows=documents)
            assert bool(rows) == self.model.save(held, pick)

    def give_up(self, _: int) -> None:
        self.db.let_time_pass(days=1)
        given_up = self.db.fail_unknown_type(after_s=3600)
        unserved = ["rare"] if self.model.live_workers else ["soft", "hard", "rare"]
        assert sorted(given_up) == sorted(self.model.fail_unknown_type(*unserved))

    def forget(self, pick: int) -> None:
        """Run retention."""
        ids = {self.one(pick + more, *TERMINAL) for more in (0, 5)}
        gone = {row.id for row in self.db.run(retention.delete_expired(), ids=list(ids), shortest_s=-60.0)}
        assert gone == self.model.expire(ids)

    def heartbeat(self, of: int) -> None:
        worker = self.crew[of % len(self.crew)]
        answered = bool(self.db.run(leases.heartbeat(), worker=worker))
        assert answered == (worker in self.model.live_workers)

    def expire(self, of: int) -> None:
        worker = self.crew[of % len(self.crew)]
        self.db.sql("UPDATE worker SET seen_at = now() - interval '1 hour' WHERE id = :id", id=worker)
        deleted = set(self.db.delete_expired_workers())
        assert deleted == {worker} & self.model.live_workers
        self.model.live_workers.discard(worker)

    def rescue(self, _: int) -> None:
        rows = self.db.run(leases.orphaned_attempts())
        orphans = {(row.id, row.attempt, row.lease_token) for row in rows}
        assert orphans == {held for held in self.model.held() if self.model.is_orphaned(held)}
        self.end(orphans, "is lost")

    def end(self, helds: set[Held], how: str) -> None:
        batch = [FinishedAttempt(Lease(*held), "soft", self.verdict(held[0], how)) for held in sorted(helds)]
        rows = self.db.run(settlements.settle(), rows=result_rows(batch), by="worker:1")
        assert sorted(row.id for row in rows) == [held[0] for held in sorted(helds) if self.model.settle(held, how)]

    def verdict(self, id_: int, how: str) -> AttemptResult:
        """Return the result that the holder would report, from what its claim returned."""
        task = self.model.tasks[id_]
        match how:
            case "fails" | "times out":
                outcome = AttemptOutcome.FAILED if how == "fails" else AttemptOutcome.TIMED_OUT
                wait = plan_retry(RetryPolicy(initial=timedelta(days=1)), task.max_attempts, task.failures + 1, 0)
                if wait is None:
                    return outcomes.failed("no luck", "attempts_exhausted", outcome)
                return outcomes.retry_later("no luck", wait, outcome)
            case "crashes":
                return outcomes.crashed("segmentation fault", task.crashes)
            case "is lost":
                return outcomes.worker_lost(task.worker_losses)
        return {
            "succeeds": outcomes.succeeded('{"n": 1}'),
            "fails for good": outcomes.failed("never", "non_retryable"),
            "cancels itself": outcomes.cancelled("enough", "cancelled_by_plugin"),
            "pauses": outcomes.paused(),
            "is returned": outcomes.released("worker_stopped"),
            "is returned to run alone": outcomes.released("process_crashed", isolated=True),
        }[how]

    # People

    def cancel(self, pick: int) -> None:
        task = self.one(pick, *IDLE, Status.RUNNING)
        self.change(self.model.cancel(task), task, actions.cancel(), actions.request_cancel(), why="enough")

    def pause(self, pick: int) -> None:
        task = self.one(pick, *IDLE, Status.RUNNING)
        self.change(self.model.pause(task), task, actions.pause(), actions.request_pause(), why="later")

    def resume(self, pick: int) -> None:
        task = self.one(pick, Status.PAUSED, Status.RUNNING)
        self.change(self.model.resume(task), task, actions.resume(), actions.withdraw_pause())

    def retry(self, pick: int) -> None:
        task = self.one(pick, Status.FAILED, Status.CANCELLED)
        self.change(self.model.retry(task), task, actions.retry())

    def delete(self, pick: int) -> None:
        task = self.one(pick, *TERMINAL)
        self.change(self.model.delete(task), task, actions.delete_task())

    def pause_queue(self, pick: int) -> None:
        queue = QUEUES[pick % 2]
        self.db.run(queues.pause_queue(), of=queue, why=None, by="me")
        self.model.paused_queues.add(queue)

    def resume_queue(self, pick: int) -> None:
        queue = QUEUES[pick % 2]
        self.db.run(queues.resume_queue(), of=queue)
        self.model.paused_queues.discard(queue)

    def change(self, is_done: bool, task: int, *statements: Any, **parameters: Any) -> None:
        """As the API does: the first of `statements` that fits how the task stands."""
        with self.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
            values = {"task": task, "by": "me", **parameters}
            connection.execute(dependencies.lock_task_and_parents(), values)
            assert any(connection.execute(statement, values).all() for statement in statements) == is_done
            connection.commit()

    @invariant()
    def the_database_says_what_the_model_says(self) -> None:
        assert take_snapshots(self.db) == expected_snapshots(self.model)

    def teardown(self) -> None:
        assert_consistent(self.db)


def test_statements_agree_with_the_reference_model(db: DatabaseHarness, coordinate: Callable[[], None]) -> None:
    run_machine(
        cast("type[TaskStateMachine]", lambda: TaskStateMachine(db, coordinate)),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            phases=set(Phase) - {Phase.explain},
            suppress_health_check=list(HealthCheck),
        ),
    )
