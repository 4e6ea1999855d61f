"""Conversion of placeholders to PostgreSQL's."""

from __future__ import annotations

import pytest

from taskworker.types.query.placeholders import number_placeholders


def test_query_without_arguments_is_unchanged() -> None:
    assert number_placeholders("SELECT '%s %% %(a)s'", None) == ("SELECT '%s %% %(a)s'", None)


def test_positional_placeholders_are_numbered_from_one() -> None:
    assert number_placeholders("%s, %%s, %s", ["a", None]) == ("$1, %s, $2", ("a", None))


def test_repeated_name_keeps_its_number() -> None:
    assert number_placeholders("%(b)s %(a)s %(b)s", {"a": 1, "b": 2}) == ("$1 $2 $1", (2, 1))


def test_argument_that_looks_like_a_placeholder_is_unchanged() -> None:
    assert number_placeholders("%s", ["%s"]) == ("$1", ("%s",))


@pytest.mark.parametrize("query", ["%", "%d", "%\n", "%(a)d", "%(a", "%(a)s"])
def test_anything_else_after_a_percent_sign_is_an_error(query: str) -> None:
    with pytest.raises(ValueError, match="percent"):
        number_placeholders(query, [1])
