"""Arrange the spans of a trace as a tree, and select those that are about one task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from taskcore.observability.tracing.span_record import SpanRecord

MAX_SPANS = 2_000
#: Spans by the id of their parent, which is None for those at the root.
Children = Mapping[str | None, Sequence[SpanRecord]]


@dataclass(frozen=True, slots=True)
class Branch:
    """A span in the tree, followed by its descendants."""

    depth: int
    span: SpanRecord


def build_tree(spans: Iterable[SpanRecord], task_id: int) -> tuple[list[Branch], int]:
    """Return the spans that are about the task, in depth-first order, and the number of omitted ones."""
    unique = {span.span_id: span for span in spans}
    children = children_of(list(unique.values()))
    whole = list(walk(children, children.get(None, ())))
    kept = [branch for branch, is_kept in zip(whole, _kept(whole, str(task_id)), strict=True) if is_kept][:MAX_SPANS]
    return kept, len(whole) - len(kept)


def children_of(spans: Sequence[SpanRecord]) -> Children:
    """Return the children of each span, oldest first. Those whose parent is missing are at the end of the root.

    A child may seem to start before its parent, because clocks differ.
    """
    known = {span.span_id for span in spans}
    found: defaultdict[str | None, list[SpanRecord]] = defaultdict(list)
    for span in sorted(spans, key=lambda span: (span.parent_id is not None, span.start_ns, -span.end_ns)):
        found[span.parent_id if span.parent_id in known else None].append(span)
    found[None] += list(_cycles(spans, found))
    return found


def walk(children: Children, roots: Sequence[SpanRecord]) -> Iterator[Branch]:
    """Return the spans below `roots` in depth-first order, each of them once."""
    seen: set[str] = set()
    waiting = [Branch(0, span) for span in reversed(roots)]
    while waiting:
        branch = waiting.pop()
        if branch.span.span_id in seen:
            continue
        seen.add(branch.span.span_id)
        yield branch
        waiting += [Branch(branch.depth + 1, below) for below in reversed(children.get(branch.span.span_id, ()))]


def _cycles(spans: Sequence[SpanRecord], children: Children) -> Iterator[SpanRecord]:
    """Return one span of each cycle of parents, which no root leads to. The response of a viewer may have some."""
    reached = {branch.span.span_id for branch in walk(children, children.get(None, ()))}
    for span in spans:
        if span.span_id not in reached:
            yield span
            reached |= {branch.span.span_id for branch in walk(children, [span])}


def _kept(tree: Sequence[Branch], task_id: str) -> list[bool]:
    """Return for each span whether it is kept. Those of other tasks are not: the tasks of a batch share a trace.

    The descendants of the task's own spans are kept, and so are their ancestors.
    """
    ends = _ends(tree)
    own_so_far = [0]
    for branch in tree:
        own_so_far.append(own_so_far[-1] + (branch.span.task_id == task_id))
    kept, index = [True] * len(tree), 0
    while index < len(tree):
        about, end = tree[index].span.task_id, ends[index]
        has_own = own_so_far[end] > own_so_far[index]
        if about == task_id:
            index = end
        elif about is not None and not has_own:
            kept[index:end] = [False] * (end - index)
            index = end
        else:
            index += 1
    return kept


def _ends(tree: Sequence[Branch]) -> list[int]:
    """Return for each span the index after its last descendant."""
    ends = [len(tree)] * len(tree)
    still_open: list[int] = []
    for index, branch in enumerate(tree):
        while still_open and tree[still_open[-1]].depth >= branch.depth:
            ends[still_open.pop()] = index
        still_open.append(index)
    return ends
