"""`noop`: does nothing. For trying Taskcore out and for measuring it."""

from __future__ import annotations

from taskcore.plugins import Parameters, Plugin, TaskContext


class NoopParameters(Parameters, frozen=True):
    """Takes no parameters."""


class Noop(Plugin[NoopParameters]):
    name = "noop"
    description = "Does nothing."

    def run(self, ctx: TaskContext, params: NoopParameters) -> None:
        return None
