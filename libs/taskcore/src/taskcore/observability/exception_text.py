"""Exceptions of foreign code as text. Their attributes and methods may raise anything, and may be of any type."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from taskcore.domain.documents import clean_text


def _plain(text: str) -> str:
    """Return an exact `str`. A subclass may have methods that raise."""
    return "".join(("", text))


class ExceptionText(NamedTuple):
    """`is_complete` is False when parts of the exception could not be read, so that they are missing."""

    text: str
    is_complete: bool


def describe_exception(
    exc: BaseException, skip_frames: int = 0, redact: Callable[[str], str] = _plain
) -> ExceptionText:
    """Return the summary as the first line, then the traceback with all causes, the middle cut out if it is too long.

    `skip_frames` of the caller's own are left out at the beginning of the traceback. `redact` removes secrets. Never
    raises.
    """
    summary = _summarize(exc, redact)
    try:
        if not summary.is_complete:  # do not read the message again, which may have taken until the timeout
            return ExceptionText(_with_frames_only(exc, summary.text, skip_frames, redact), is_complete=False)
        frames = _skip(exc.__traceback__, skip_frames)
        formatted = "".join(traceback.TracebackException(type(exc), exc, frames, compact=True).format())
        return ExceptionText(clean_text(f"{summary.text}\n\n{redact(formatted.rstrip())}"), is_complete=True)
    except BaseException:  # whatever it is, the attempt that raised it must end with some text
        return ExceptionText(_with_frames_only(exc, summary.text, skip_frames, redact), is_complete=False)


def summarize_exception(exc: BaseException, redact: Callable[[str], str] = _plain) -> str:
    """Return the class and the first line of the message. Never raises."""
    return _summarize(exc, redact).text


def _summarize(exc: BaseException, redact: Callable[[str], str]) -> ExceptionText:
    name = _class_name(exc)
    try:
        lines = redact(_plain(str(exc))).strip().splitlines()
    except BaseException:
        return ExceptionText(f"{name}: <its message cannot be read>", is_complete=False)
    return ExceptionText(clean_text(f"{name}: {lines[0]}" if lines else name), is_complete=True)


def describe_object(value: object) -> str:
    """Return the `repr` of a foreign object, or its class when that raises. Never raises."""
    try:
        return _plain(repr(value))
    except BaseException:
        return f"<{_class_name(value)}>"


def _class_name(value: object) -> str:
    try:
        kind = type(value)
        is_plain = kind.__module__ in ("builtins", "__main__")
        return _plain(kind.__qualname__ if is_plain else f"{kind.__module__}.{kind.__qualname__}")
    except BaseException:
        return "an object that cannot be described"


def _with_frames_only(exc: BaseException, summary: str, skip_frames: int, redact: Callable[[str], str]) -> str:
    try:
        frames = "".join(traceback.format_tb(_skip(exc.__traceback__, skip_frames)))
        return clean_text(f"{summary}\n\nTraceback (most recent call last):\n{redact(frames)}{summary}")
    except BaseException:
        return summary


def _skip(frames: TracebackType | None, count: int) -> TracebackType | None:
    while frames is not None and count:
        frames, count = frames.tb_next, count - 1
    return frames
