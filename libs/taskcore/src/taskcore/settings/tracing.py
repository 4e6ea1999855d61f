"""The settings of traces: where they go, how many there are, and where people look at them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from taskcore.settings.field_types import Seconds, Section

TRACE_ID_PLACEHOLDER = "{trace_id}"


def _check_trace_url(template: str) -> str:
    if TRACE_ID_PLACEHOLDER not in template:
        raise ValueError(f"must contain {TRACE_ID_PLACEHOLDER}")
    if not template.startswith(("http://", "https://")):
        raise ValueError("must be a URL that begins with http:// or https://")
    return template


def _check_http_url(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be a URL that begins with http:// or https://")
    return url


TraceUrl = Annotated[str, AfterValidator(_check_trace_url)]
HttpUrl = Annotated[str, AfterValidator(_check_http_url)]


class TracingSettings(Section):
    """Traces are sent to `endpoint`, by OTLP over HTTP; without one there are none.

    `/v1/traces` is added where the endpoint has no path. `headers` go with each request. Of what begins a trace (a
    request, a schedule that fires) the share `sample_ratio` is followed, and of each kind at most `max_traces_per_s` a
    second and process, so that load does not multiply by being watched. Up to `queue_size` spans wait to be sent; what
    is beyond that is dropped, and counted. `timeout_s` bounds each request. `query_url` is where the viewer answers a
    trace as OTLP JSON (Jaeger: `http://jaeger:16686/api/v3/traces/{trace_id}`, Tempo:
    `http://tempo:3200/api/v2/traces/{trace_id}`): then the API and `task-cli trace` show it.
    """

    endpoint: HttpUrl | None = None
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 1.0
    max_traces_per_s: Annotated[float, Field(gt=0, le=1_000_000)] = 20
    queue_size: Annotated[int, Field(ge=512, le=1_000_000)] = 4_096
    timeout_s: Seconds = 5
    query_url: TraceUrl | None = None
