"""`noop`: do nothing. For trials and measurements."""

from __future__ import annotations

from taskcore.plugins import Parameters, Plugin, TaskContext


class NoopParameters(Parameters, frozen=True):
    """No parameters."""


class Noop(Plugin[NoopParameters]):
    name = "noop"
    description = "Does nothing."

    def run(self, ctx: TaskContext, params: NoopParameters) -> None:
        return None
