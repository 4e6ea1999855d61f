"""Where the time goes: the processor seconds of each process while something is measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

#: What this machine did beside: where it did much, the rates say little.
OTHER_PROCESSES = "elsewhere on this machine"


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds so far, by role and pid, and of the whole machine."""

    seconds: Mapping[str, Mapping[int, float]]
    machine: float

    @classmethod
    def of(cls, processes: Mapping[str, Sequence[psutil.Process]]) -> Self:
        seconds = {role: {p.pid: _seconds(p) for p in members} for role, members in processes.items()}
        times = psutil.cpu_times()
        return cls(seconds, times.user + times.nice + times.system + times.irq + times.softirq)

    def since(self, before: Usage) -> dict[str, float]:
        """Seconds by role. A process that was not there before counts in full."""
        old = {pid: spent for members in before.seconds.values() for pid, spent in members.items()}
        roles = {
            role: sum(spent - old.get(pid, 0.0) for pid, spent in members.items())
            for role, members in self.seconds.items()
        }
        return {**roles, OTHER_PROCESSES: max(0.0, self.machine - before.machine - sum(roles.values()))}


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
