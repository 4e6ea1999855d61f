"""Two at once on one task, in both orders: what comes about is what one after the other would have done."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from uuid import uuid4

import pytest

from tests.taskcore.db.db_harness import Stage, new_task
from tests.taskcore.db.tasks.concurrent_actions import ACTS, Act, Scene, at_once, serially
from tests.taskcore.db.tasks.reference_model import Model, ModelTask
from tests.taskcore.db.tasks.snapshots import assert_sound, clear, expected, seen

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


@pytest.mark.parametrize("start", STARTS)
def test_two_at_once_do_what_one_after_the_other_does(stage: Stage, start: str, coordinate: Callable[[], None]) -> None:
    stage.know("noop", can_cancel=True, can_pause=True)
    with ThreadPoolExecutor(2) as pool:
        for first, second in product(ACTS, repeat=2):
            clear(stage)
            scene, model = begin(stage, start)
            acts = [(ACTS[first], uuid4()), (ACTS[second], uuid4())]

            came_about = at_once(pool, scene, acts, scene.task)
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


#: How a child and what it depends on come to where a coordinator finds them: who acts, and what they do.
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


def of(who: str, act: Act) -> Act:
    """`act` of the family's child or of its parent, which is the task before it."""
    of_parent = who == "parent"
    return Act(
        lambda scene, token: act.do(replace(scene, task=scene.task - of_parent), token),
        lambda model, scene, token: act.foresee(model, replace(scene, task=scene.task - of_parent), token),
    )


def foresee_passing_on(model: Model, *_: object) -> bool:
    model.pass_on()
    return True


@pytest.mark.parametrize("held", ["child", "parent"])
@pytest.mark.parametrize("start", FAMILIES)
def test_passing_on_and_whatever_else_is_done_at_once_lead_where_one_after_the_other_does(
    stage: Stage, start: str, held: str, coordinate: Callable[[], None]
) -> None:
    stage.know("noop", can_cancel=True, can_pause=True)
    pass_on = Act(lambda *_: bool(coordinate()) or True, foresee_passing_on)
    verbs = ("cancel", "pause", "resume", "retry", "delete", "claim", "submit a child")
    others = [(who, verb) for who in ("child", "parent") for verb in verbs]
    with ThreadPoolExecutor(2) as pool:
        for (who, verb), is_first in product(others, (True, False)):
            clear(stage)
            scene, model = begin_family(stage, FAMILIES[start], pass_on)
            acts = [(of(who, ACTS[verb]), uuid4()), (pass_on, uuid4())][:: 1 if is_first else -1]

            came_about = at_once(pool, scene, acts, scene.task - (held == "parent"))
            coordinate()

            legal = [serially(model, scene, acts), serially(model, scene, acts[::-1])]
            assert (came_about, seen(stage)) in legal, f"{verb} of {who}, first: {is_first}, when {start}"


def begin_family(stage: Stage, steps: tuple[tuple[str, str], ...], pass_on: Act) -> tuple[Scene, Model]:
    scene, model = begin(stage, "queued")
    child = stage.submit_on(scene.task)
    model.submit(ModelTask(child, "default", 4, "soft", is_ahead=False, depends_on=(scene.task,)))
    scene = replace(scene, task=child)
    for who, verb in steps:
        act = pass_on if verb == "pass on" else of(who, ACTS[verb])
        assert act.do(scene, scene.held[2])
        assert act.foresee(model, scene, scene.held[2])
    assert seen(stage) == expected(model)
    return scene, model
