"""Links to the pages of traces."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.settings import TRACE_ID_PLACEHOLDER

TASK_ID = "{task_id}"


@dataclass(frozen=True, slots=True)
class TraceLinks:
    """Builds links from the setting `trace_url_template`. Without it there are none."""

    template: str | None

    def url_for(self, task_id: int, trace_id: str | None) -> str | None:
        if self.template is None or trace_id is None:
            return None
        return self.template.replace(TRACE_ID_PLACEHOLDER, trace_id).replace(TASK_ID, str(task_id))
