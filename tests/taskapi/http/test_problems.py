"""Problems, and the page that documents their codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskapi.http.problems import MAX_ERRORS, invalid, merge_problems, not_found, too_large
from taskapi.schemas.problems import FieldError, ProblemCode

PAGE = Path(__file__).parents[3] / "docs" / "http_api.md"


@pytest.mark.parametrize("code", ProblemCode)
def test_every_code_is_documented(code: ProblemCode) -> None:
    assert f"`{code}`" in PAGE.read_text(encoding="utf-8").partition("\n## Errors\n")[2]


def test_a_missing_resource_is_named() -> None:
    problem = not_found(ProblemCode.QUEUE_NOT_FOUND, "mail").problem

    assert (problem.status, problem.title, problem.detail) == (404, "No such queue", "There is no queue 'mail'.")


def test_merged_problems_have_the_status_of_the_first_and_a_limited_number_of_errors() -> None:
    many = invalid([FieldError(f"tasks[{n}].name", "is missing") for n in range(MAX_ERRORS + 1)])

    merged = merge_problems([too_large("tasks[0]", 1024), many])

    assert (merged.status, merged.code, len(merged.errors)) == (413, "too_large", MAX_ERRORS)
    assert merged.errors[0].field == "tasks[0]"
