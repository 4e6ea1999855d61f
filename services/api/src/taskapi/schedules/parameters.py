"""Parameters of calls about schedules."""

from __future__ import annotations

from typing import Annotated

from litestar.params import PathParameter, QueryParameter

from taskapi.schedules.schemas import MAX_PREVIEW
from taskcore.domain.documents import MAX_INTEGER

ScheduleId = Annotated[
    int, PathParameter(ge=1, le=MAX_INTEGER, schema_extra={"maximum": MAX_INTEGER}, description="A schedule's id.")
]
After = Annotated[
    int,
    QueryParameter(
        ge=0,
        le=MAX_INTEGER,
        schema_extra={"minimum": 0, "maximum": MAX_INTEGER},
        description="`next_after` of the previous page.",
    ),
]
Before = Annotated[
    str | None, QueryParameter(schema_extra={"format": "date-time"}, description="`next_before` of the previous page.")
]
Limit = Annotated[int, QueryParameter(ge=1, le=1_000)]
Count = Annotated[int, QueryParameter(ge=1, le=MAX_PREVIEW, description="Number of times.")]
