"""Exceptions as text: complete where possible, and some text in any case."""

from __future__ import annotations

import pytest

from taskcore.observability.exception_text import describe_exception, summarize_exception
from tests.taskcore.observability.hostile_exceptions import HOSTILE


def raised(exc: BaseException) -> BaseException:
    try:
        raise exc
    except BaseException as caught:
        return caught


def test_summary_comes_first_then_the_traceback_as_python_prints_it() -> None:
    text = describe_exception(raised(ValueError("no luck\nat all"))).text

    lines = text.splitlines()
    assert lines[:3] == ["ValueError: no luck", "", "Traceback (most recent call last):"]
    assert lines[-2:] == ["ValueError: no luck", "at all"]


def test_frames_of_the_caller_are_left_out() -> None:
    assert "in raised" in describe_exception(raised(ValueError())).text
    assert "in raised" not in describe_exception(raised(ValueError()), skip_frames=1).text


def test_causes_contexts_and_notes_are_kept() -> None:
    def fail() -> None:
        try:
            try:
                raise OSError("the first")
            except OSError:
                raise ZeroDivisionError("the second")  # noqa: B904 - a context
        except ZeroDivisionError as exc:
            wrapped = KeyError("the third")
            wrapped.add_note("a note")
            raise wrapped from exc

    with pytest.raises(KeyError) as caught:
        fail()

    text = describe_exception(caught.value).text
    assert text.startswith("KeyError: 'the third'\n\nTraceback (most recent call last):\n")
    parts = [text.index(part) for part in ("OSError: the first", "ZeroDivisionError: the second", "a note")]
    assert parts == sorted(parts)
    assert "During handling of the above exception" in text
    assert "The above exception was the direct cause" in text


def test_long_text_is_cut_in_the_middle() -> None:
    text = describe_exception(raised(ValueError("x" * 100_000))).text

    assert text.startswith("ValueError: xxx")
    assert text.endswith("xxx")
    assert "characters omitted" in text
    assert len(text) < 20_000


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_exception_that_cannot_be_described_has_some_text(make: object) -> None:
    exc = raised(make())  # type: ignore[operator]

    description = describe_exception(exc)

    assert type(description.text) is str
    assert description.text.encode()
    assert summarize_exception(exc)


def test_missing_parts_are_told() -> None:
    description = describe_exception(raised(HOSTILE["offset is text"]()))

    assert not description.is_complete
    assert description.text.startswith(
        "SyntaxError: bad template (a.tpl, line 3)\n\nTraceback (most recent call last):"
    )
    assert "in raised" in description.text
