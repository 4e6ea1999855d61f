"""CPU time of each process during a measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import psutil

#: CPU time of processes outside the benchmark. When it is high, the rates are unreliable.
OTHER_PROCESSES = "other processes"


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds so far: by role and pid, and of the whole machine."""

    seconds: Mapping[str, Mapping[int, float]]
    machine: float

    @classmethod
    def of(cls, processes: Mapping[str, Sequence[psutil.Process]]) -> Self:
        seconds = {role: {p.pid: _seconds(p) for p in members} for role, members in processes.items()}
        times = psutil.cpu_times()
        return cls(seconds, times.user + times.nice + times.system + times.irq + times.softirq)

    def since(self, before: Usage) -> dict[str, float]:
        """Return the CPU seconds by role since `before`. A new process counts in full."""
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
