"""Spans as a tree, whatever a viewer answers."""

from __future__ import annotations

from collections.abc import Sequence

from taskapi.traces.tree import MAX_SPANS, build_tree
from taskcore.observability.tracing.span_record import SpanRecord

OWN = 7


def span(span_id: str, parent: str | None = None, at: int = 0, task: int | None = None) -> SpanRecord:
    attributes = {} if task is None else {"taskcore.task.id": task}
    return SpanRecord("t", span_id, parent, "s", span_id, "internal", at, at + 10, attributes=attributes)


def drawn(spans: Sequence[SpanRecord]) -> list[str]:
    """Indented by two blanks a level."""
    return ["  " * branch.depth + branch.span.span_id for branch in build_tree(spans, OWN)[0]]


def test_children_follow_their_parent_oldest_first() -> None:
    spans = [span("late", "root", 9), span("deep", "early", 3), span("early", "root", 2), span("root", at=1)]

    assert drawn(spans) == ["root", "  early", "    deep", "  late"]


def test_a_span_whose_parent_is_missing_stands_at_the_root_behind_the_beginning() -> None:
    spans = [span("orphan", "gone", 0), span("below", "orphan", 1), span("root", at=5)]

    assert drawn(spans) == ["root", "orphan", "  below"]


def test_a_child_that_seems_to_begin_before_its_parent_stays_below_it() -> None:
    assert drawn([span("child", "root", -50), span("root", at=0)]) == ["root", "  child"]


def test_circles_of_parents_end() -> None:
    spans = [span("a", "b", 1), span("b", "a", 2), span("self", "self", 3), span("root", at=9)]

    assert drawn(spans) == ["root", "a", "  b", "self"]


def test_a_span_that_comes_twice_is_shown_once() -> None:
    assert drawn([span("root"), span("root"), span("child", "root")]) == ["root", "  child"]


def test_other_tasks_of_a_batch_are_left_off() -> None:
    batch = [
        span("request"),
        span("insert", "request", 1),
        *(span(f"relay {n}", "request", 2, task=n) for n in (6, OWN, 8)),
        *(span(f"process {n}", f"relay {n}", 3, task=n) for n in (6, OWN, 8)),
        *(span(f"run {n}", f"process {n}", 4) for n in (6, OWN, 8)),
    ]

    tree, left_off = build_tree(batch, OWN)

    assert [branch.span.name for branch in tree] == ["request", "insert", "relay 7", "process 7", "run 7"]
    assert left_off == 6


def test_who_submitted_the_task_and_what_it_submits_is_shown_with_it() -> None:
    spans = [
        span("process parent", task=5),
        span("claim", "process parent", 1),
        span("relay sibling", "process parent", 2, task=6),
        span("relay own", "process parent", 3, task=OWN),
        span("relay child", "relay own", 4, task=9),
    ]

    assert drawn(spans) == ["process parent", "  claim", "  relay own", "    relay child"]


def test_what_is_beyond_the_bound_is_counted() -> None:
    chain = [span(str(n), str(n - 1) if n else None, n) for n in range(MAX_SPANS + 500)]

    tree, left_off = build_tree(chain, OWN)

    assert (len(tree), left_off) == (MAX_SPANS, 500)
