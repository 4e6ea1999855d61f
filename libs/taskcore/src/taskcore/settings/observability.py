"""Settings of health endpoints and logs, which all processes share."""

from __future__ import annotations

from typing import Annotated, Literal

from taskcore.settings.field_types import LIVE, Port, Section

#: Words run together are a name of their own: `apikey` does not match `api_key`.
REDACTED_FIELDS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "authorization",
    "credentials",
    "api_key",
    "apikey",
    "access_key",
    "private_key",
    "cookie",
)


class HealthSettings(Section):
    """Where every process, the API included, serves its health checks and metrics."""

    host: str = "127.0.0.1"
    """Address to listen on. `::` means all addresses, of IPv4 and IPv6."""
    port: Port = 5050
    """Port to listen on; 0 turns the server off."""


class LogSettings(Section):
    """Logs, which go to stderr."""

    level: Annotated[Literal["debug", "info", "warning", "error"], LIVE] = "info"
    """Lines below this level are dropped."""
    format: Literal["auto", "console", "json"] = "auto"
    """`auto` is `console` on a terminal and `json` elsewhere."""
    redacted_fields: tuple[str, ...] = REDACTED_FIELDS
    """Fields whose names contain one of these words are logged without their values, in the logs of tasks too.
    Passwords in URLs are never logged, and never stored in errors and history.
    """
    redact_results: bool = True
    """Whether results and progress are stored without these fields and passwords, too. Turn it off for task types whose
    results others need as they are.
    """
