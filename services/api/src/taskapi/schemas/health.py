"""The state of the process."""

from __future__ import annotations

import msgspec


class HealthStatus(msgspec.Struct, frozen=True):
    status: str


class Uptime(msgspec.Struct, frozen=True):
    """Seconds since the process started."""

    uptime: float
