"""Arranging spans as a tree, valid or not."""

from __future__ import annotations

from collections.abc import Sequence

from taskapi.traces.tree import MAX_SPANS, build_tree
from taskcore.observability.tracing.span_record import SpanRecord

OWN = 7


def span(span_id: str, parent: str | None = None, at: int = 0, task: int | None = None) -> SpanRecord:
    attributes = {} if task is None else {"taskcore.task.id": task}
    return SpanRecord("t", span_id, parent, "s", span_id, "internal", at, at + 10, attributes=attributes)


def tree_lines(spans: Sequence[SpanRecord]) -> list[str]:
    """Return the tree as lines, indented by two blanks per level."""
    return ["  " * branch.depth + branch.span.span_id for branch in build_tree(spans, OWN)[0]]


def test_children_follow_their_parent_oldest_first() -> None:
    spans = [span("late", "root", 9), span("deep", "early", 3), span("early", "root", 2), span("root", at=1)]

    assert tree_lines(spans) == ["root", "  early", "    deep", "  late"]


def test_a_span_whose_parent_is_missing_is_at_the_end_of_the_root() -> None:
    spans = [span("orphan", "gone", 0), span("below", "orphan", 1), span("root", at=5)]

    assert tree_lines(spans) == ["root", "orphan", "  below"]


def test_a_child_that_seems_to_start_before_its_parent_stays_below_it() -> None:
    assert tree_lines([span("child", "root", -50), span("root", at=0)]) == ["root", "  child"]


def test_a_cycle_of_parents_ends() -> None:
    spans = [span("a", "b", 1), span("b", "a", 2), span("self", "self", 3), span("root", at=9)]

    assert tree_lines(spans) == ["root", "a", "  b", "self"]


def test_a_duplicate_span_is_shown_once() -> None:
    assert tree_lines([span("root"), span("root"), span("child", "root")]) == ["root", "  child"]


def test_other_tasks_of_a_batch_are_omitted() -> None:
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


def test_the_submitting_task_and_submitted_tasks_are_shown() -> None:
    spans = [
        span("process parent", task=5),
        span("claim", "process parent", 1),
        span("relay sibling", "process parent", 2, task=6),
        span("relay own", "process parent", 3, task=OWN),
        span("relay child", "relay own", 4, task=9),
    ]

    assert tree_lines(spans) == ["process parent", "  claim", "  relay own", "    relay child"]


def test_spans_beyond_the_limit_are_counted() -> None:
    chain = [span(str(n), str(n - 1) if n else None, n) for n in range(MAX_SPANS + 500)]

    tree, left_off = build_tree(chain, OWN)

    assert (len(tree), left_off) == (MAX_SPANS, 500)
