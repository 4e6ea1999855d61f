"""Actions on a task, in the database and on the reference model, and how to run two of them concurrently."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import Executable, text

from taskcore.db.tasks import actions, dependencies
from taskcore.db.tasks.submit_dependent import add_dependencies, submit_planned
from taskcore.domain import outcomes
from taskcore.domain.dependencies import plan_start, state_of
from taskcore.domain.outcomes import AttemptResult
from taskcore.domain.states import Status
from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.reference_model import Held, ModelTask, ReferenceModel
from tests.taskcore.db.tasks.snapshots import Snapshot, expected_snapshots

DAY = timedelta(days=1)

ActionOutcome = bool | str | None


@dataclass
class Subject:
    """A task, and the first lease that was given on it."""

    db: DatabaseHarness
    task: int
    held: Held


@dataclass(frozen=True)
class ConcurrentAction:
    """An action: `run` performs it in the database, `predict` on the model.

    Both return whether, or what, it changed.
    """

    run: Callable[[Subject, UUID], ActionOutcome]
    predict: Callable[[ReferenceModel, Subject, UUID], ActionOutcome]


Actions = list[tuple[ConcurrentAction, UUID]]


def user_action(verb: str, *statements: Executable) -> ConcurrentAction:
    """As the API performs it: lock the task, then execute the first statement that its status allows."""
    lock = dependencies.lock_task_and_parents() if verb in ("resume", "retry") else dependencies.lock_tasks()

    def run(subject: Subject, _: UUID) -> bool:
        values = {"task": subject.task, "ids": [subject.task], "by": "me", "why": None}
        with subject.db.transaction() as connection:
            connection.execute(lock, values)
            return any(connection.execute(statement, values).all() for statement in statements)

    return ConcurrentAction(run, lambda model, subject, _: bool(getattr(model, verb)(subject.task)))


def worker_result(how: str, result: AttemptResult) -> ConcurrentAction:
    return ConcurrentAction(
        lambda subject, _: bool(subject.db.settle(*subject.held, result)),
        lambda model, subject, _: model.settle(subject.held, how),
    )


def predict_rescue(model: ReferenceModel, subject: Subject, _: UUID) -> bool:
    held = model.held()
    if not held:
        return False
    (lost,) = held
    return model.settle(lost, "is lost")


def submit_child(subject: Subject, _: UUID) -> ActionOutcome:
    """Submit a task that depends on the subject, as the API does.

    Returns the child's status; False if the subject is deleted.
    """
    with subject.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        rows = connection.execute(dependencies.lock_tasks(), {"ids": [subject.task]}).all()
        if not rows:
            return False
        start = plan_start([state_of(row.id, Status(row.status)) for row in rows])
        (child,) = connection.execute(*submit_planned([(new_task(), start)])).all()
        connection.execute(*add_dependencies([(child.id, subject.task)]))
        connection.commit()
    return str(child.status)


def predict_child(model: ReferenceModel, subject: Subject, _: UUID) -> ActionOutcome:
    if model.tasks[subject.task].status is None:
        return False
    child = ModelTask(max(model.tasks) + 1, "default", 4, "soft", runs_in_future=False, depends_on=(subject.task,))
    model.submit(child)
    return child.status


ACTIONS = {
    "cancel": user_action("cancel", actions.cancel(), actions.request_cancel()),
    "pause": user_action("pause", actions.pause(), actions.request_pause()),
    "resume": user_action("resume", actions.resume(), actions.withdraw_pause()),
    "retry": user_action("retry", actions.retry()),
    "delete": user_action("delete", actions.delete_task()),
    "claim": ConcurrentAction(
        lambda subject, token: bool(subject.db.claim([subject.task], token=token)),
        lambda model, subject, token: bool(model.claim([subject.task], 1, token)),
    ),
    "succeed": worker_result("succeeds", outcomes.succeeded("1")),
    "fail": worker_result("fails for good", outcomes.failed("no", "non_retryable")),
    "put off": worker_result("fails", outcomes.retry_later("no luck", DAY)),
    "submit a child": ConcurrentAction(submit_child, predict_child),
    "give up": ConcurrentAction(
        lambda subject, _: bool(subject.db.fail_unknown_type(after_s=-60)),
        lambda model, subject, _: bool(model.fail_unknown_type("soft")),
    ),
    "rescue": ConcurrentAction(lambda subject, _: bool(subject.db.rescue_orphans()), predict_rescue),
}


def predict_serial(
    model: ReferenceModel, subject: Subject, planned: Actions
) -> tuple[dict[UUID, ActionOutcome], dict[int, Snapshot]]:
    """Return the results of the planned actions, performed one after the other, and the final snapshots."""
    model = deepcopy(model)
    results = {token: action.predict(model, subject, token) for action, token in planned}
    model.resolve_dependencies()
    return results, expected_snapshots(model)


def wait_until_blocked_or_done(db: DatabaseHarness, planned: list[Future[ActionOutcome]]) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while sum(action.done() for action in planned) + db.sql(blocked)[0][0] < len(planned):
        pass


def run_concurrently(
    pool: ThreadPoolExecutor, subject: Subject, planned: Actions, held: int
) -> dict[UUID, ActionOutcome]:
    """Start all while a third transaction has locked the task `held`: the first that waits is the first to continue."""
    running: list[Future[ActionOutcome]] = []
    with subject.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as third:
        third.execute(text("SELECT 1 FROM task WHERE id = :id FOR UPDATE"), {"id": held})
        for action, token in planned:
            running.append(pool.submit(action.run, subject, token))
            wait_until_blocked_or_done(subject.db, running)
        third.commit()
    return {token: one.result() for (_, token), one in zip(planned, running, strict=True)}
