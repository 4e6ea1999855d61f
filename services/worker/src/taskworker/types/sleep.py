"""`sleep`: sleep for some seconds. For trials."""

from __future__ import annotations

from typing import Annotated

import msgspec

from taskcore.plugins import Parameters, Plugin, TaskContext


class SleepParameters(Parameters, frozen=True):
    seconds: Annotated[float, msgspec.Meta(ge=0, le=86_400, description="Seconds to sleep")] = 1.0


class Sleep(Plugin[SleepParameters]):
    name = "sleep"
    description = "Sleeps for a while."

    def run(self, ctx: TaskContext, params: SleepParameters) -> None:
        ctx.wait(params.seconds)
