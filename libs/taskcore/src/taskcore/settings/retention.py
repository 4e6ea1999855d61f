"""Settings of retention: how long data is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from taskcore.settings.field_types import LIVE, Age, Identifier, Section


class TypeRetention(Section):
    """How long tasks of one type are kept after they finished.

    A time that is left out is as for all types; null keeps the tasks for ever.
    """

    succeeded_s: Age = None
    failed_s: Age = None
    cancelled_s: Age = None


class RetentionSettings(Section):
    """How long data is kept, at least 60 s. What is not set is kept for ever."""

    succeeded_s: Annotated[Age, LIVE] = None
    """Age at which succeeded tasks are deleted, counted from their end."""
    failed_s: Annotated[Age, LIVE] = None
    """Age at which failed tasks are deleted."""
    cancelled_s: Annotated[Age, LIVE] = None
    """Age at which cancelled tasks are deleted."""
    types: Annotated[dict[Identifier, TypeRetention], LIVE] = Field(default_factory=dict)
    """Other ages for some task types, such as `{"send_email": {"succeeded_s": 86400, "failed_s": null}}`."""
    history_s: Annotated[Age, LIVE] = None
    """Minimum age at which the history of deleted tasks is deleted. The oldest rows go first, up to the first row of a
    task that still exists or that another task depends on. Rows that analytics has yet to count stay for up to 30 days.
    """
    analytics_s: Annotated[Annotated[Age, Field(ge=3_600)], LIVE] = None
    """Age at which analytics samples are deleted. At least an hour."""
    events_s: Annotated[Age, LIVE] = None
    """Age at which Kubernetes events, and gaps between them, are deleted. At least `kubernetes.event_ttl_s` counts."""
    alerts_s: Annotated[Age, LIVE] = None
    """Age at which resolved alerts are deleted."""
