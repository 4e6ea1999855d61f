"""The refs by which the tasks of a batch depend on each other, and the order that follows from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter

from taskapi.http.field_errors import field_error
from taskapi.http.problems import invalid_field
from taskapi.schemas.problems import FieldError
from taskapi.tasks.batch_item import BatchItem
from taskcore.domain.dependencies import MAX_BATCH_DEPENDENCIES

ByRef = Mapping[str, BatchItem]
#: By index: the indexes of the tasks of the batch that it depends on.
Graph = Mapping[int, set[int]]


def order_by_dependencies(items: Sequence[BatchItem]) -> list[BatchItem]:
    """Return the valid ones of `items`, each after those that it depends on.

    Reject each that depends on an unknown ref, on itself, on a cycle, or on a rejected task. Raise `ProblemError` when
    there are too many dependencies.
    """
    if not any(item.spec.depends_on or item.ref for item in items):
        return list(items)
    if sum(len(item.spec.depends_on) for item in items) > MAX_BATCH_DEPENDENCIES:
        raise invalid_field("tasks", f"has more than {MAX_BATCH_DEPENDENCIES} dependencies in total")
    by_ref = _by_ref(items)
    by_index = {item.index: item for item in items if item.problem is None}
    order = _topological_order({index: _parents(item, by_ref) for index, item in by_index.items()})
    ordered = [by_index.pop(index) for index in order]
    for item in ordered:
        if errors := list(_ref_errors(item, by_ref)):
            item.reject(errors)
    for item in by_index.values():
        item.reject(list(_cycle_errors(item, by_ref, by_index)))
    return [item for item in ordered if item.problem is None]


def _by_ref(items: Sequence[BatchItem]) -> ByRef:
    """Return the task of each ref. Reject each further one with the same ref."""
    found: dict[str, BatchItem] = {}
    for item in items:
        if item.ref is not None and (first := found.setdefault(item.ref, item)) is not item:
            item.reject([field_error((*item.path, "ref"), f"is already the ref of tasks[{first.index}]")])
    return found


def _parents(item: BatchItem, by_ref: ByRef) -> set[int]:
    return {by_ref[name].index for name in item.spec.depends_on if isinstance(name, str) and name in by_ref}


def _topological_order(graph: Graph) -> list[int]:
    """Return the order of the request where possible. The tasks of a cycle, and all after it, are left out."""
    if all(max(parents, default=-1) < index for index, parents in graph.items()):
        return sorted(graph)
    sorter = TopologicalSorter(graph)
    with suppress(CycleError):  # the sorter still returns what comes before the cycle
        sorter.prepare()
    order: list[int] = []
    while ready := sorter.get_ready():
        order += sorted(ready)
        sorter.done(*ready)
    return order


def _ref_errors(item: BatchItem, by_ref: ByRef) -> Iterator[FieldError]:
    for number, name in enumerate(item.spec.depends_on):
        if isinstance(name, str) and name not in by_ref:
            yield field_error((*item.path, "depends_on", number), f"{name!r} is not a ref of this batch")
        elif isinstance(name, str) and by_ref[name].problem is not None:
            yield field_error((*item.path, "depends_on", number), f"{name!r} is the ref of a rejected task")


def _cycle_errors(item: BatchItem, by_ref: ByRef, unordered: Mapping[int, BatchItem]) -> Iterator[FieldError]:
    for number, name in enumerate(item.spec.depends_on):
        if isinstance(name, str) and name in by_ref and by_ref[name].index in unordered:
            message = "is the task's own ref" if by_ref[name] is item else "leads to a cycle"
            yield field_error((*item.path, "depends_on", number), f"{name!r} {message}")
