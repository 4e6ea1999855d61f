"""The domain: pure rules."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcore.domain import outcomes
from taskcore.domain.documents import MAX_DEPTH, check_document, clean_document, clean_text
from taskcore.domain.retry import RetryPolicy, plan_retry
from taskcore.domain.states import REBLOCK, TERMINAL, TRANSITIONS, Action, Status, available_actions
from taskcore.errors import InvalidDocument, first_line


def test_only_users_lead_out_of_a_terminal_status() -> None:
    leaving = [t for t in TRANSITIONS if t.sources & TERMINAL]

    assert {t.action for t in leaving if t is not REBLOCK} == {Action.RETRY, Action.DELETE}


def test_every_status_can_be_reached() -> None:
    reached = {t.target for t in TRANSITIONS}

    assert reached >= set(Status)


@pytest.mark.parametrize(
    ("status", "actions"),
    [
        (Status.QUEUED, {Action.CANCEL, Action.PAUSE, Action.DELETE}),
        (Status.PAUSED, {Action.CANCEL, Action.RESUME, Action.DELETE}),
        (Status.RUNNING, {Action.CANCEL}),
        (Status.CANCELLING, set()),
        (Status.FAILED, {Action.RETRY, Action.DELETE}),
        (Status.SUCCEEDED, {Action.DELETE}),
    ],
)
def test_available_actions_depend_on_the_status(status: Status, actions: set[Action]) -> None:
    assert set(available_actions(status)) == actions


@given(failures=st.integers(1, 99), spread=st.floats(-1, 1))
def test_waits_grow_up_to_the_cap_with_any_jitter(failures: int, spread: float) -> None:
    policy = RetryPolicy()

    earlier, later = policy.wait_after(failures, spread), policy.wait_after(failures + 1, -spread)

    cap = policy.cap * (1 - policy.jitter)
    assert earlier < later or later >= cap
    assert earlier <= policy.cap * (1 + policy.jitter)


def test_no_retry_is_planned_after_the_last_attempt() -> None:
    assert plan_retry(RetryPolicy(), 4, 3, 0.0) is not None
    assert plan_retry(RetryPolicy(), 4, 4, 0.0) is None


def test_the_last_listed_wait_repeats() -> None:
    hours = RetryPolicy(waits=(timedelta(hours=3), timedelta(hours=4), timedelta(hours=6)), jitter=0)

    assert [hours.wait_after(n, 0.5) for n in (1, 2, 3, 4)] == [timedelta(hours=h) for h in (3, 4, 6, 6)]


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": "x\0y"}, ("a",)),
        ({"a": {"b": ["ok", "\ud800"]}}, ("a", "b", 1)),
        ({"a": 2**63}, ("a",)),
        ({"a": -(2**63) - 1}, ("a",)),
        ({"a": math.inf}, ("a",)),
        ({"a": "x" * 65_537}, ("a",)),
        ({"k\0": 1}, ()),
    ],
)
def test_an_invalid_document_is_refused_with_the_path(value: Any, path: tuple[str | int, ...]) -> None:
    with pytest.raises(InvalidDocument) as caught:
        check_document(value)

    assert caught.value.path == path


def test_a_document_may_be_nested_up_to_the_limit() -> None:
    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    check_document(nested(MAX_DEPTH))
    with pytest.raises(InvalidDocument):
        check_document(nested(MAX_DEPTH + 1))
    with pytest.raises(InvalidDocument):
        clean_document(nested(MAX_DEPTH + 1))


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(json_like)
def test_a_clean_document_is_valid_except_for_big_integers(value: Any) -> None:
    cleaned = clean_document(value)

    assert faults(cleaned) <= {"is an integer beyond 64 bits"}


def faults(value: Any) -> set[str]:
    try:
        check_document(value)
    except InvalidDocument as exc:
        return {exc.message}
    return set()


def test_the_middle_of_a_long_text_is_omitted() -> None:
    text = clean_text("start" + "x" * 100_000 + "end\0")

    assert text.startswith("start")
    assert text.endswith("end\N{REPLACEMENT CHARACTER}")
    assert len(text) < 20_000


def test_starting_a_process_is_retried_with_backoff_up_to_a_limit() -> None:
    verdicts = [outcomes.could_not_start(losses, "no process") for losses in range(20)]

    waits = [verdict.retry_in.total_seconds() for verdict in verdicts if verdict.retry_in is not None]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits == sorted(waits)
    assert (len(waits), max(waits)) == (19, 300)
    assert (verdicts[-1].status, verdicts[-1].reason) == (Status.FAILED, "worker_lost")


def test_an_error_without_a_message_is_described_by_its_repr() -> None:
    assert (first_line(TimeoutError()), first_line(OSError("one\ntwo"))) == ("TimeoutError()", "one")
