"""Ordering the tasks of a batch by their refs, without a database."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from taskapi.schemas.batches import BatchTask
from taskapi.tasks.batch_item import BatchItem
from taskapi.tasks.batch_refs import order_by_dependencies


def items(*tasks: tuple[str | None, Sequence[int | str]]) -> list[BatchItem]:
    """Return the items of a batch, given the ref and the dependencies of each task."""
    found = []
    for index, (ref, depends_on) in enumerate(tasks):
        item = BatchItem(index, ("tasks", index), ref)
        item.spec = BatchTask(name="a task", type="noop", ref=ref, depends_on=list(depends_on))
        found.append(item)
    return found


def errors(batch: Sequence[BatchItem]) -> dict[str, str]:
    return {error.field: error.message for item in batch if item.problem for error in item.problem.errors}


@pytest.mark.parametrize(
    ("tasks", "order"),
    [
        ([(None, []), (None, [])], [0, 1]),
        ([("a", []), ("b", ["a"]), (None, ["a", "b"])], [0, 1, 2]),
        ([(None, ["b"]), ("b", ["c"]), ("c", [17])], [2, 1, 0]),
        ([("c", ["a", "b"]), ("b", []), ("a", []), (None, [])], [1, 2, 3, 0]),
    ],
)
def test_each_task_comes_after_its_dependencies(
    tasks: list[tuple[str | None, Sequence[int | str]]], order: list[int]
) -> None:
    assert [item.index for item in order_by_dependencies(items(*tasks))] == order


def test_dependents_of_a_rejected_task_are_rejected_in_turn() -> None:
    batch = items(("a", ["nowhere"]), ("b", ["a"]), (None, ["b"]), (None, []))

    assert [item.index for item in order_by_dependencies(batch)] == [3]
    assert errors(batch) == {
        "tasks[0].depends_on[0]": "'nowhere' is not a ref of this batch",
        "tasks[1].depends_on[0]": "'a' is the ref of a rejected task",
        "tasks[2].depends_on[0]": "'b' is the ref of a rejected task",
    }


def test_a_cycle_and_all_tasks_after_it_are_rejected() -> None:
    batch = items(("a", ["b"]), ("b", ["a"]), (None, ["b"]), ("self", ["self"]), (None, []))

    assert [item.index for item in order_by_dependencies(batch)] == [4]
    assert errors(batch) == {
        "tasks[0].depends_on[0]": "'b' leads to a cycle",
        "tasks[1].depends_on[0]": "'a' leads to a cycle",
        "tasks[2].depends_on[0]": "'b' leads to a cycle",
        "tasks[3].depends_on[0]": "'self' is the task's own ref",
    }


def test_the_second_task_with_a_ref_is_rejected() -> None:
    batch = items(("a", []), ("a", []), (None, ["a"]))

    assert [item.index for item in order_by_dependencies(batch)] == [0, 2]
    assert errors(batch) == {"tasks[1].ref": "is already the ref of tasks[0]"}
