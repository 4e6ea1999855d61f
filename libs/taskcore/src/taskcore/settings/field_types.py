"""The types of settings: values with bounds, the mark of live settings, and the base of sections."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from taskcore.domain.tasks import MAX_NAME, QUEUE_NAME_PATTERN, QUEUE_NAME_RULE

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=365 * 86_400)]
#: A slip must not delete at once everything that is finished.
Age = Annotated[float | None, Field(ge=60, le=100 * 365 * 86_400)]
Identifier = Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@-]*$")]


def _check_queue_name(name: str) -> str:
    """Match in Python, because pydantic's own patterns have no look-ahead."""
    if not re.match(QUEUE_NAME_PATTERN, name):
        raise PydanticCustomError("queue_name", "must be a queue's name: {rule}", {"rule": QUEUE_NAME_RULE})
    return name


QueueName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_NAME, json_schema_extra={"pattern": QUEUE_NAME_PATTERN}),
    AfterValidator(_check_queue_name),
]


class Live:
    """Marks a setting that the database may override at run time: see `taskcore.live_settings`."""


LIVE = Live()


class Section(BaseModel):
    """A group of settings. It is immutable and rejects unknown members."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
