"""Parameters of calls about schedules."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter

from taskapi.http.parameters import id_in_path
from taskapi.schedules.schemas import MAX_PREVIEW

ScheduleId = Annotated[int, id_in_path("A schedule's id.")]
Before = Annotated[
    str | None, QueryParameter(schema_extra={"format": "date-time"}, description="`next_before` of the previous page.")
]
Count = Annotated[int, QueryParameter(ge=1, le=MAX_PREVIEW, description="Number of times.")]
