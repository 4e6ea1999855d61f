"""Where people look at a trace."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.settings import TRACE_ID_PLACEHOLDER

TASK_ID = "{task_id}"


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """By the setting `trace_url_template`: no links without one."""

    template: str | None

    def url_for(self, task_id: int, trace_id: str | None) -> str | None:
        if self.template is None or trace_id is None:
            return None
        return self.template.replace(TRACE_ID_PLACEHOLDER, trace_id).replace(TASK_ID, str(task_id))
