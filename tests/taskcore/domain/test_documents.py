"""Documents: what is refused, and what is cleaned."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskcore.domain.documents import MAX_DEPTH, check_document, clean_document, clean_text
from taskcore.errors import InvalidDocument


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

    assert errors(cleaned) <= {"is an integer beyond 64 bits"}


def errors(value: Any) -> set[str]:
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
