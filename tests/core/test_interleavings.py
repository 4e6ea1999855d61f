"""Two at once on one task, in both orders: what comes about is what one after the other would have done."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Executable, text

from taskcore.db import changes, dependencies
from taskcore.db.dependent_submit import depend, submit_planned
from taskcore.domain import outcomes
from taskcore.domain.dependencies import plan_start, standing
from taskcore.domain.outcomes import Verdict
from taskcore.domain.states import Status
from tests.core.life import Held, Model, ModelTask
from tests.core.looking import Seen, assert_sound, clear, expected, seen
from tests.core.stage import Stage, new_task

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
    "cancel": by_a_person("cancel", changes.cancel(), changes.interrupt()),
    "pause": by_a_person("pause", changes.pause(), changes.request_pause()),
    "resume": by_a_person("resume", changes.resume(), changes.withdraw_pause()),
    "retry": by_a_person("retry", changes.retry()),
    "delete": by_a_person("delete", changes.remove()),
    "claim": Act(
        lambda scene, token: bool(scene.stage.claim([scene.task], token=token)),
        lambda model, scene, token: bool(model.claim([scene.task], 1, token)),
    ),
    "succeed": by_its_worker("succeeds", outcomes.succeeded("1")),
    "fail": by_its_worker("fails for good", outcomes.failed("no", "failed_for_good")),
    "put off": by_its_worker("fails", outcomes.retry_later("no luck", DAY)),
    "submit a child": Act(submit_child, foresee_child),
    "give up": Act(
        lambda scene, _: bool(scene.stage.run(changes.give_up(), after_s=-60.0)),
        lambda model, scene, _: bool(model.give_up("soft")),
    ),
    "rescue": Act(lambda scene, _: bool(scene.stage.rescue_orphans()), foresee_rescue),
}

#: How the task comes to where the two find it.
STARTS: dict[str, tuple[str, ...]] = {
    "queued": (),
    "running": ("claim",),
    "asked to pause": ("claim", "pause"),
    "cancelling": ("claim", "cancel"),
    "retrying": ("claim", "put off"),
    "paused": ("pause",),
    "failed": ("claim", "fail"),
    "cancelled": ("cancel",),
    "succeeded": ("claim", "succeed"),
}


def begin(stage: Stage, start: str) -> tuple[Scene, Model]:
    (task,) = stage.submit(new_task())
    scene, model = Scene(stage, task, (task, 1, uuid4())), Model()
    model.submit(ModelTask(task, "default", 4, "soft", is_ahead=False))
    for name in STARTS[start]:
        assert ACTS[name].do(scene, scene.held[2])
        assert ACTS[name].foresee(model, scene, scene.held[2])
    return scene, model


def serially(model: Model, scene: Scene, acts: list[tuple[str, UUID]]) -> tuple[dict[UUID, Answer], dict[int, Seen]]:
    """What each of `acts` answers, one after the other, and how the task and its children stand in the end."""
    model = deepcopy(model)
    answers = {token: ACTS[name].foresee(model, scene, token) for name, token in acts}
    model.pass_on()
    return answers, expected(model)


def wait_until_blocked_or_done(stage: Stage, acts: list[Future[Answer]]) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    while sum(act.done() for act in acts) + stage.sql(blocked)[0][0] < len(acts):
        pass


def at_once(pool: ThreadPoolExecutor, scene: Scene, acts: list[tuple[str, UUID]]) -> dict[UUID, Answer]:
    """Both begin while a third holds the task; the first that waits is the first that goes on."""
    running: list[Future[Answer]] = []
    with scene.stage.engine.connect().execution_options(isolation_level="READ COMMITTED") as third:
        third.execute(text("SELECT 1 FROM task WHERE id = :id FOR UPDATE"), {"id": scene.task})
        for name, token in acts:
            running.append(pool.submit(ACTS[name].do, scene, token))
            wait_until_blocked_or_done(scene.stage, running)
        third.commit()
    return {token: one.result() for (_, token), one in zip(acts, running, strict=True)}


@pytest.mark.parametrize("start", STARTS)
def test_two_at_once_do_what_one_after_the_other_does(stage: Stage, start: str, coordinate: Callable[[], None]) -> None:
    stage.know("noop", can_cancel=True, can_pause=True)
    with ThreadPoolExecutor(2) as pool:
        for first, second in product(ACTS, repeat=2):
            clear(stage)
            scene, model = begin(stage, start)
            acts = [(first, uuid4()), (second, uuid4())]

            came_about = at_once(pool, scene, acts)
            if "submit a child" in (first, second):
                coordinate()

            legal = [serially(model, scene, acts), serially(model, scene, acts[::-1])]
            assert (came_about, seen(stage)) in legal, f"{first}, then {second}, from {start}"


def test_all_at_once_leave_every_task_sound(stage: Stage, coordinate: Callable[[], None]) -> None:
    stage.know("noop", can_cancel=True, can_pause=True)
    chance = random.Random(11)
    scenes = [begin(stage, chance.choice(list(STARTS)))[0] for _ in range(20)]
    todo = [(scene, name) for scene in scenes for name in ACTS for _ in range(3)]
    chance.shuffle(todo)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda one: ACTS[one[1]].do(one[0], uuid4()), todo))
    coordinate()

    assert_sound(stage)


def test_a_success_that_comes_after_a_cancel_does_not_win(stage: Stage) -> None:
    stage.know("noop")
    scene, _ = begin(stage, "cancelling")

    assert ACTS["succeed"].do(scene, uuid4())

    assert stage.status(scene.task) == "cancelled"
    assert_sound(stage)
