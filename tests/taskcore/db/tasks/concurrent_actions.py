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
from taskcore.db.tasks.submit_dependent import depend, submit_planned
from taskcore.domain import outcomes
from taskcore.domain.dependencies import plan_start, standing
from taskcore.domain.outcomes import Verdict
from taskcore.domain.states import Status
from tests.taskcore.db.db_harness import Stage, new_task
from tests.taskcore.db.tasks.reference_model import Held, Model, ModelTask
from tests.taskcore.db.tasks.snapshots import Seen, expected

DAY = timedelta(days=1)

Answer = bool | str | None


@dataclass
class Scene:
    """A task, and the lease that was given on it first."""

    stage: Stage
    task: int
    held: Held


@dataclass(frozen=True)
class Act:
    """`do` it in the database, `foresee` it on the model; each answers whether anything was done, or what."""

    do: Callable[[Scene, UUID], Answer]
    foresee: Callable[[Model, Scene, UUID], Answer]


Acts = list[tuple[Act, UUID]]


def by_a_person(verb: str, *statements: Executable) -> Act:
    """As the API does it: whatever fits how the task stands, and once more when it has moved in between."""

    hold = dependencies.hold() if verb in ("resume", "retry") else dependencies.hold_all()

    def do(scene: Scene, _: UUID) -> bool:
        given = {"task": scene.task, "by": "me", "why": None}
        for statement in statements * 3:
            with scene.stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
                connection.execute(hold, {"task": scene.task, "ids": [scene.task]})
                rows = connection.execute(statement, given).all()
                connection.commit()
            if rows:
                return True
        return False

    return Act(do, lambda model, scene, _: bool(getattr(model, verb)(scene.task)))


def by_its_worker(how: str, verdict: Verdict) -> Act:
    return Act(
        lambda scene, _: bool(scene.stage.settle(*scene.held, verdict)),
        lambda model, scene, _: model.settle(scene.held, how),
    )


def foresee_rescue(model: Model, scene: Scene, _: UUID) -> bool:
    (lost,) = model.held() or [None]
    return lost is not None and model.settle(lost, "is lost")


def submit_child(scene: Scene, _: UUID) -> Answer:
    """As the API does it. Answers how the child starts; a task that is gone cannot be depended on."""
    with scene.stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as connection:
        rows = connection.execute(dependencies.hold_all(), {"ids": [scene.task]}).all()
        if not rows:
            return False
        start = plan_start([standing(row.id, Status(row.status)) for row in rows])
        (child,) = connection.execute(*submit_planned([(new_task(), start)])).all()
        connection.execute(*depend([(child.id, scene.task)]))
        connection.commit()
    return str(child.status)


def foresee_child(model: Model, scene: Scene, _: UUID) -> Answer:
    if model.tasks[scene.task].status is None:
        return False
    child = ModelTask(max(model.tasks) + 1, "default", 4, "soft", is_ahead=False, depends_on=(scene.task,))
    model.submit(child)
    return child.status


ACTS = {
    "cancel": by_a_person("cancel", actions.cancel(), actions.interrupt()),
    "pause": by_a_person("pause", actions.pause(), actions.request_pause()),
    "resume": by_a_person("resume", actions.resume(), actions.withdraw_pause()),
    "retry": by_a_person("retry", actions.retry()),
    "delete": by_a_person("delete", actions.remove()),
    "claim": Act(
        lambda scene, token: bool(scene.stage.claim([scene.task], token=token)),
        lambda model, scene, token: bool(model.claim([scene.task], 1, token)),
    ),
    "succeed": by_its_worker("succeeds", outcomes.succeeded("1")),
    "fail": by_its_worker("fails for good", outcomes.failed("no", "failed_for_good")),
    "put off": by_its_worker("fails", outcomes.retry_later("no luck", DAY)),
    "submit a child": Act(submit_child, foresee_child),
    "give up": Act(
        lambda scene, _: bool(scene.stage.give_up(after_s=-60)),
        lambda model, scene, _: bool(model.give_up("soft")),
    ),
    "rescue": Act(lambda scene, _: bool(scene.stage.rescue_orphans()), foresee_rescue),
}


def serially(model: Model, scene: Scene, acts: Acts) -> tuple[dict[UUID, Answer], dict[int, Seen]]:
    """What each of `acts` answers, one after the other, and how the task and its children stand in the end."""
    model = deepcopy(model)
    answers = {token: act.foresee(model, scene, token) for act, token in acts}
    model.pass_on()
    return answers, expected(model)


def wait_until_blocked_or_done(stage: Stage, acts: list[Future[Answer]]) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while sum(act.done() for act in acts) + stage.sql(blocked)[0][0] < len(acts):
        pass


def at_once(pool: ThreadPoolExecutor, scene: Scene, acts: Acts, held: int) -> dict[UUID, Answer]:
    """All begin while somebody else has locked the task `held`; the first that waits is the first that goes on."""
    running: list[Future[Answer]] = []
    with scene.stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as third:
        third.execute(text("SELECT 1 FROM task WHERE id = :id FOR UPDATE"), {"id": held})
        for act, token in acts:
            running.append(pool.submit(act.do, scene, token))
            wait_until_blocked_or_done(scene.stage, running)
        third.commit()
    return {token: one.result() for (_, token), one in zip(acts, running, strict=True)}
