"""What can be done to a task, in the database and on the model; and two such acts at once."""

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
    """A task, and the lease that was given on it first."""

    db: DatabaseHarness
    task: int
    held: Held


@dataclass(frozen=True)
class ConcurrentAction:
    """`do` it in the database, `foresee` it on the model; each answers whether anything was done, or what."""

    run: Callable[[Subject, UUID], ActionOutcome]
    predict: Callable[[ReferenceModel, Subject, UUID], ActionOutcome]


Actions = list[tuple[ConcurrentAction, UUID]]


def user_action(verb: str, *statements: Executable) -> ConcurrentAction:
    """As the API does it: whatever fits how the task stands, and once more when it has moved in between."""
    hold = dependencies.lock_task_and_parents() if verb in ("resume", "retry") else dependencies.lock_tasks()

    def do(scene: Subject, _: UUID) -> bool:
        given = {"task": scene.task, "by": "me", "why": None}
        for statement in statements * 3:
            with scene.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
                connection.execute(hold, {"task": scene.task, "ids": [scene.task]})
                rows = connection.execute(statement, given).all()
                connection.commit()
            if rows:
                return True
        return False

    return ConcurrentAction(do, lambda model, scene, _: bool(getattr(model, verb)(scene.task)))


def worker_result(how: str, verdict: AttemptResult) -> ConcurrentAction:
    return ConcurrentAction(
        lambda scene, _: bool(scene.db.settle(*scene.held, verdict)),
        lambda model, scene, _: model.settle(scene.held, how),
    )


def predict_rescue(model: ReferenceModel, scene: Subject, _: UUID) -> bool:
    held = model.held()
    if not held:
        return False
    (lost,) = held
    return model.settle(lost, "is lost")


def submit_child(scene: Subject, _: UUID) -> ActionOutcome:
    """As the API does it. Answers how the child starts; a task that is gone cannot be depended on."""
    with scene.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        rows = connection.execute(dependencies.lock_tasks(), {"ids": [scene.task]}).all()
        if not rows:
            return False
        start = plan_start([state_of(row.id, Status(row.status)) for row in rows])
        (child,) = connection.execute(*submit_planned([(new_task(), start)])).all()
        connection.execute(*add_dependencies([(child.id, scene.task)]))
        connection.commit()
    return str(child.status)


def predict_child(model: ReferenceModel, scene: Subject, _: UUID) -> ActionOutcome:
    if model.tasks[scene.task].status is None:
        return False
    child = ModelTask(max(model.tasks) + 1, "default", 4, "soft", runs_in_future=False, depends_on=(scene.task,))
    model.submit(child)
    return child.status


ACTIONS = {
    "cancel": user_action("cancel", actions.cancel(), actions.request_cancel()),
    "pause": user_action("pause", actions.pause(), actions.request_pause()),
    "resume": user_action("resume", actions.resume(), actions.withdraw_pause()),
    "retry": user_action("retry", actions.retry()),
    "delete": user_action("delete", actions.delete_task()),
    "claim": ConcurrentAction(
        lambda scene, token: bool(scene.db.claim([scene.task], token=token)),
        lambda model, scene, token: bool(model.claim([scene.task], 1, token)),
    ),
    "succeed": worker_result("succeeds", outcomes.succeeded("1")),
    "fail": worker_result("fails for good", outcomes.failed("no", "non_retryable")),
    "put off": worker_result("fails", outcomes.retry_later("no luck", DAY)),
    "submit a child": ConcurrentAction(submit_child, predict_child),
    "give up": ConcurrentAction(
        lambda scene, _: bool(scene.db.fail_unknown_type(after_s=-60)),
        lambda model, scene, _: bool(model.fail_unknown_type("soft")),
    ),
    "rescue": ConcurrentAction(lambda scene, _: bool(scene.db.rescue_orphans()), predict_rescue),
}


def predict_serial(
    model: ReferenceModel, scene: Subject, acts: Actions
) -> tuple[dict[UUID, ActionOutcome], dict[int, Snapshot]]:
    """What each of `acts` answers, one after the other, and how the task and its children stand in the end."""
    model = deepcopy(model)
    answers = {token: act.predict(model, scene, token) for act, token in acts}
    model.resolve_dependencies()
    return answers, expected_snapshots(model)


def wait_until_blocked_or_done(db: DatabaseHarness, acts: list[Future[ActionOutcome]]) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while sum(act.done() for act in acts) + db.sql(blocked)[0][0] < len(acts):
        pass


def run_concurrently(pool: ThreadPoolExecutor, scene: Subject, acts: Actions, held: int) -> dict[UUID, ActionOutcome]:
    """All begin while somebody else has locked the task `held`; the first that waits is the first that goes on."""
    running: list[Future[ActionOutcome]] = []
    with scene.db.engine.connect().execution_options(isolation_level="READ COMMITTED") as third:
        third.execute(text("SELECT 1 FROM task WHERE id = :id FOR UPDATE"), {"id": held})
        for act, token in acts:
            running.append(pool.submit(act.run, scene, token))
            wait_until_blocked_or_done(scene.db, running)
        third.commit()
    return {token: one.result() for (_, token), one in zip(acts, running, strict=True)}
