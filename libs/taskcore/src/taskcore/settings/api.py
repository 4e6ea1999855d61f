"""Settings of the HTTP API."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from taskcore.settings.field_types import Port, Section


class ApiSettings(Section):
    """The HTTP API. It has no authentication yet: a host other than loopback opens it to that network."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """Port to listen on."""
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    """How many processes serve requests."""
    drain_s: Annotated[float, Field(ge=0, le=3_600)] = 5
    """How long the API still serves requests after SIGTERM, while `/readyz` already fails."""
