"""Settings of tracing: where spans are sent, how many traces are sampled, and where people view them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from taskcore.settings.field_types import Seconds, Section

TRACE_ID_PLACEHOLDER = "{trace_id}"


def _check_http_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be a URL that begins with http:// or https://")
    return url


def _check_trace_url(template: str) -> str:
    if TRACE_ID_PLACEHOLDER not in template:
        raise ValueError(f"must contain {TRACE_ID_PLACEHOLDER}")
    return _check_http_url(template)


TraceUrl = Annotated[str, AfterValidator(_check_trace_url)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]


class TracingSettings(Section):
    """Tracing, which is off without an `endpoint`."""

    endpoint: HttpUrl | None = None
    """Where spans are sent by OTLP over HTTP. `/v1/traces` is appended to a URL without a path."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Headers of each export request."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of root spans (requests, schedules that fire) that are sampled."""
    max_traces_per_s: Annotated[float, Field(gt=0, le=1_000_000)] = 20
    """Sampled traces a second of each kind and process, so that tracing does not multiply a load. Traces that a caller
    has sampled (`traceparent`) count too.
    """
    queue_size: Annotated[int, Field(ge=512, le=1_000_000)] = 4_096
    """How many spans may wait to be exported. More are dropped and counted."""
    timeout_s: Seconds = 5
    """Timeout of an export request."""
    query_url: TraceUrl | None = None
    """Where the trace viewer returns a trace as OTLP JSON, such as `http://jaeger:16686/api/v3/traces/{trace_id}` or
    `http://tempo:3200/api/v2/traces/{trace_id}`. The API and `task-cli trace` then show it.
    """
    shows_other_services: bool = False
    """Whether they also show the spans of other services, such as callers of the API, in the traces of tasks. Any
    caller of the API can name any trace as that of its task.
    """
