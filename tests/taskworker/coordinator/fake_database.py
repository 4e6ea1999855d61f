"""A database of prepared replies, for tests of the coordinator's loops without a server."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from taskworker.coordinator.database import Database

Reply = Callable[..., list[Any]]


def row(**columns: Any) -> Any:
    return SimpleNamespace(**columns)


class FakeDatabase(Database):
    """Replies to the statements that a test names, and to all others without rows.

    Functions that build statements cache them, so a statement is known by its identity.
    """

    def __init__(self) -> None:
        super().__init__(cast("Any", None))
        self._replies: dict[int, Reply] = {}
        self._calls: list[tuple[int, dict[str, Any]]] = []

    def on(self, statement: Any, reply: Reply) -> None:
        """Let `reply` return the rows of `statement`. It gets the parameters of the statement."""
        self._replies[id(statement)] = reply

    def calls(self, statement: Any) -> list[dict[str, Any]]:
        """Return the parameters of each execution of `statement`."""
        return [parameters for which, parameters in self._calls if which == id(statement)]

    async def execute(self, statement: Any, **parameters: Any) -> list[Any]:
        self._calls.append((id(statement), parameters))
        reply = self._replies.get(id(statement))
        return [] if reply is None else reply(**parameters)
