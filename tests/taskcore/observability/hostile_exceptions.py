"""Exceptions that raise when they are looked at, as some libraries make them by accident."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def _fail(*_: object) -> Any:
    raise RuntimeError("no words for it")


class NoText(Exception):
    __str__ = _fail
    __repr__ = _fail


class OddText(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value] # noqa: PLE0307


class ExitsWhenRead(BaseException):
    def __str__(self) -> str:
        raise SystemExit(3)


class HostileText(str):
    __slots__ = ()
    splitlines = strip = replace = encode = _fail  # type: ignore[assignment]


class WithHostileText(Exception):
    def __str__(self) -> str:
        return HostileText("hostile")


class NoAttributes(Exception):
    __cause__ = __context__ = __traceback__ = __notes__ = property(_fail)


class NoClass(Exception):
    __class__ = property(_fail)


class Nameless(type):
    __module__ = property(_fail)


class OfNamelessClass(Exception, metaclass=Nameless):
    __str__ = _fail


class EndlessText(Exception):
    def __str__(self) -> str:
        return str(self)


class NoGroup(ExceptionGroup[Exception]):
    exceptions = property(_fail)


HOSTILE: dict[str, Callable[[], BaseException]] = {
    "no text": NoText,
    "odd text": OddText,
    "exits when read": ExitsWhenRead,
    "hostile text": WithHostileText,
    "no attributes": NoAttributes,
    "no class": NoClass,
    "nameless class": OfNamelessClass,
    "endless text": EndlessText,
    "group": lambda: NoGroup("group", [ValueError()]),
    "offset is text": lambda: SyntaxError("bad template", ("a.tpl", 3, "7", "{{ x }")),  # type: ignore[arg-type]
    "details are text": lambda: SyntaxError("hello", "abcdef"),  # type: ignore[call-overload]
    "line is a number": lambda: SyntaxError("hello", ("a", 1, 2, 3)),  # type: ignore[arg-type]
    "surrogate and NUL": lambda: ValueError("\ud800\0"),
    "argument is no text": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 10**9, "x"),
}
