"""Two concurrent actions on one task, in both orders: the result is that of one after the other."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from uuid import uuid4

import pytest

from tests.taskcore.db.db_harness import DatabaseHarness, new_task
from tests.taskcore.db.tasks.concurrent_actions import (
    ACTIONS,
    ConcurrentAction,
    Subject,
    predict_serial,
    run_concurrently,
)
from tests.taskcore.db.tasks.reference_model import ModelTask, ReferenceModel
from tests.taskcore.db.tasks.snapshots import assert_consistent, clear, expected_snapshots, take_snapshots

#: The actions that bring the task to the state in which the two find it.
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


def begin(db: DatabaseHarness, start: str) -> tuple[Subject, ReferenceModel]:
    (task,) = db.submit(new_task())
    scene, model = Subject(db, task, (task, 1, uuid4())), ReferenceModel()
    model.submit(ModelTask(task, "default", 4, "soft", runs_in_future=False))
    for name in STARTS[start]:
        assert ACTIONS[name].run(scene, scene.held[2])
        assert ACTIONS[name].predict(model, scene, scene.held[2])
    return scene, model


@pytest.mark.parametrize("start", STARTS)
def test_two_concurrent_actions_have_a_serial_result(
    db: DatabaseHarness, start: str, coordinate: Callable[[], None]
) -> None:
    db.register_type("noop", can_cancel=True, can_pause=True)
    with ThreadPoolExecutor(2) as pool:
        for first, second in product(ACTIONS, repeat=2):
            clear(db)
            scene, model = begin(db, start)
            planned = [(ACTIONS[first], uuid4()), (ACTIONS[second], uuid4())]

            result = run_concurrently(pool, scene, planned, scene.task)
            if "submit a child" in (first, second):
                coordinate()

            legal = [predict_serial(model, scene, planned), predict_serial(model, scene, planned[::-1])]
            assert (result, take_snapshots(db)) in legal, f"{first}, then {second}, from {start}"


def test_many_concurrent_actions_leave_every_task_consistent(
    db: DatabaseHarness, coordinate: Callable[[], None]
) -> None:
    db.register_type("noop", can_cancel=True, can_pause=True)
    chance = random.Random(11)
    scenes = [begin(db, chance.choice(list(STARTS)))[0] for _ in range(20)]
    todo = [(scene, name) for scene in scenes for name in ACTIONS for _ in range(3)]
    chance.shuffle(todo)

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda one: ACTIONS[one[1]].run(one[0], uuid4()), todo))
    coordinate()

    assert_consistent(db)


def test_a_success_after_a_cancel_does_not_win(db: DatabaseHarness) -> None:
    db.register_type("noop")
    scene, _ = begin(db, "cancelling")

    assert ACTIONS["succeed"].run(scene, uuid4())

    assert db.status(scene.task) == "cancelled"
    assert_consistent(db)


#: The actions that bring a child and its parent to the state in which a coordinator finds them: whose, and which.
FAMILIES: dict[str, tuple[tuple[str, str], ...]] = {
    "it succeeded": (("parent", "claim"), ("parent", "succeed")),
    "it failed": (("parent", "claim"), ("parent", "fail")),
    "it was cancelled": (("parent", "cancel"),),
    "it succeeded and the child is paused": (("child", "pause"), ("parent", "claim"), ("parent", "succeed")),
    "it failed and the child is paused": (("child", "pause"), ("parent", "claim"), ("parent", "fail")),
    "it was retried": (("parent", "cancel"), ("all", "pass on"), ("parent", "retry")),
    "it was retried and cancelled": (
        ("parent", "cancel"),
        ("all", "pass on"),
        ("parent", "retry"),
        ("parent", "cancel"),
    ),
}


def of(whose: str, action: ConcurrentAction) -> ConcurrentAction:
    """Return `action` on the family's child, or on its parent, which is the task before it."""
    of_parent = whose == "parent"
    return ConcurrentAction(
        lambda scene, token: action.run(replace(scene, task=scene.task - of_parent), token),
        lambda model, scene, token: action.predict(model, replace(scene, task=scene.task - of_parent), token),
    )


def predict_resolution(model: ReferenceModel, *_: object) -> bool:
    model.resolve_dependencies()
    return True


@pytest.mark.parametrize("held", ["child", "parent"])
@pytest.mark.parametrize("start", FAMILIES)
def test_resolution_and_a_concurrent_action_have_a_serial_result(
    db: DatabaseHarness, start: str, held: str, coordinate: Callable[[], None]
) -> None:
    db.register_type("noop", can_cancel=True, can_pause=True)

    def run_coordinator(*_: object) -> bool:
        coordinate()
        return True

    resolution = ConcurrentAction(run_coordinator, predict_resolution)
    verbs = ("cancel", "pause", "resume", "retry", "delete", "claim", "submit a child")
    others = [(whose, verb) for whose in ("child", "parent") for verb in verbs]
    with ThreadPoolExecutor(2) as pool:
        for (whose, verb), is_first in product(others, (True, False)):
            clear(db)
            scene, model = begin_family(db, FAMILIES[start], resolution)
            planned = [(of(whose, ACTIONS[verb]), uuid4()), (resolution, uuid4())][:: 1 if is_first else -1]

            result = run_concurrently(pool, scene, planned, scene.task - (held == "parent"))
            coordinate()

            legal = [predict_serial(model, scene, planned), predict_serial(model, scene, planned[::-1])]
            assert (result, take_snapshots(db)) in legal, f"{verb} of {whose}, first: {is_first}, when {start}"


def begin_family(
    db: DatabaseHarness, steps: tuple[tuple[str, str], ...], resolution: ConcurrentAction
) -> tuple[Subject, ReferenceModel]:
    scene, model = begin(db, "queued")
    child = db.submit_with_parents(scene.task)
    model.submit(ModelTask(child, "default", 4, "soft", runs_in_future=False, depends_on=(scene.task,)))
    scene = replace(scene, task=child)
    for whose, verb in steps:
        action = resolution if verb == "pass on" else of(whose, ACTIONS[verb])
        assert action.run(scene, scene.held[2])
        assert action.predict(model, scene, scene.held[2])
    assert take_snapshots(db) == expected_snapshots(model)
    return scene, model
