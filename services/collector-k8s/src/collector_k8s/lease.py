"""The right to write the events of a cluster, which one copy of the collector has at a time."""

from __future__ import annotations

from dataclasses import dataclass

from taskcore.errors import TaskcoreError


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that this copy has acquired. Each holder gets a new `epoch`, which fences the former one's writes."""

    name: str
    epoch: int


class LeaseLost(TaskcoreError):
    """Another copy holds the lease."""
