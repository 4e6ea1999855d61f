"""What the tasks of a batch depend on: the refs by which they name each other, and the order that follows from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from taskapi.http.field_errors import field_error
from taskapi.http.problems import invalid, invalid_field
from taskapi.schemas import BatchTask, FieldError
from taskapi.tasks.parse import ParsedBatch
from taskcore.domain.dependencies import MAX_BATCH_DEPENDENCIES

Graph = Mapping[int, set[int]]


def order_by_dependencies(sifted: ParsedBatch) -> list[int]:
    """The indexes of the good tasks, each behind those of the batch that it depends on.

    Tasks that refer to nothing, to themselves, in a circle, or to what is refused are refused. Raises `Refused` for a
    batch with too many dependencies.
    """
    if not any(task.depends_on or task.ref for task in sifted.valid.values()):
        return list(sifted.valid)
    if sum(len(task.depends_on) for task in sifted.valid.values()) > MAX_BATCH_DEPENDENCIES:
        raise invalid_field("tasks", f"has more than {MAX_BATCH_DEPENDENCIES} dependencies in all")
    by_ref = _by_ref(sifted)
    graph = {index: _named(task, by_ref) for index, task in sifted.valid.items()}
    order = _in_order(graph)
    for index in order:
        if errors := list(_errors(index, sifted, by_ref)):
            sifted.reject(index, invalid(errors))
    sound = set(order)
    for index in sorted(graph.keys() - sound):
        sifted.reject(index, invalid(list(_circle_errors(index, sifted.valid[index], by_ref, sound))))
    return [index for index in order if index in sifted.valid]


def _by_ref(sifted: ParsedBatch) -> dict[str, int]:
    """Who bears which ref. A second one with the same is refused."""
    found: dict[str, int] = {}
    for index, task in list(sifted.valid.items()):
        if task.ref is not None and found.setdefault(task.ref, index) != index:
            message = f"is the ref of tasks[{found[task.ref]}] already"
            sifted.reject(index, invalid([field_error(("tasks", index, "ref"), message)]))
    return found


def _named(task: BatchTask, by_ref: Mapping[str, int]) -> set[int]:
    return {by_ref[name] for name in task.depends_on if isinstance(name, str) and name in by_ref}


def _in_order(graph: Graph) -> list[int]:
    """As they came, if that will do. What is in a circle, or behind one, is left out."""
    if all(max(named, default=-1) < index for index, named in graph.items()):
        return sorted(graph)
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):  # it goes on as far as it can
        sorter.prepare()
    order: list[int] = []
    while ready := sorter.get_ready():
        order += sorted(ready)
        sorter.done(*ready)
    return [index for index in order if index in graph]


def _errors(index: int, sifted: ParsedBatch, by_ref: Mapping[str, int]) -> Iterator[FieldError]:
    for place, name in enumerate(sifted.valid[index].depends_on):
        if isinstance(name, str) and by_ref.get(name) not in sifted.valid:
            what = "is no ref of this batch" if name not in by_ref else "is the ref of a task that is refused"
            yield field_error(("tasks", index, "depends_on", place), f"{name!r} {what}")


def _circle_errors(index: int, task: BatchTask, by_ref: Mapping[str, int], sound: set[int]) -> Iterator[FieldError]:
    for place, name in enumerate(task.depends_on):
        if isinstance(name, str) and name in by_ref and by_ref[name] not in sound:
            what = "is its own ref" if by_ref[name] == index else "leads in a circle"
            yield field_error(("tasks", index, "depends_on", place), f"{name!r} {what}")
